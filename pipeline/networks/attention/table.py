"""The attention mechanisms: one row each."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.core.errors import InputError
from pipeline.networks.attention.ca import ChannelAttention
from pipeline.networks.attention.cbam import CBAM
from pipeline.networks.attention.contract import Attention
from pipeline.networks.attention.csca import CSCA
from pipeline.networks.attention.eca import EfficientChannel
from pipeline.networks.attention.ecsm import ECSM
from pipeline.networks.attention.hierarchical import HierarchicalAttention
from pipeline.networks.attention.sa import UnitSpatialAttention
from pipeline.networks.attention.se import SqueezeExcitation
from pipeline.networks.attention.selfattention import SelfAttention
from pipeline.networks.attention.spatial import SpatialAttention


@dataclass(frozen=True)
class Mechanism:
    """One row of the table.

    Attributes:
        make: called with C and the mechanism's own options by keyword.
        place: where its paper puts it: `after_stages` (behind each of the four blocks), `in_blocks` (in every residual
            unit, before the shortcut is added) or `tail` (behind the last block, before pooling).
        weighs_positions: whether a map under 2x2 leaves it nothing to weigh.
    """

    make: Callable[..., Attention]
    place: str
    weighs_positions: bool


ATTENTIONS = {
    "se": Mechanism(SqueezeExcitation, place="after_stages", weighs_positions=False),
    "eca": Mechanism(EfficientChannel, place="tail", weighs_positions=False),
    "spatial": Mechanism(SpatialAttention, place="tail", weighs_positions=True),
    "cbam": Mechanism(CBAM, place="in_blocks", weighs_positions=True),
    "self": Mechanism(SelfAttention, place="tail", weighs_positions=True),
    "ecsm": Mechanism(ECSM, place="tail", weighs_positions=True),
    "ca": Mechanism(ChannelAttention, place="in_blocks", weighs_positions=False),
    "sa": Mechanism(UnitSpatialAttention, place="in_blocks", weighs_positions=True),
    "csca": Mechanism(CSCA, place="in_blocks", weighs_positions=True),
    "hierarchical": Mechanism(HierarchicalAttention, place="tail", weighs_positions=True),
}


def mechanism(name: str) -> Mechanism:
    """The row of this name; `none`, which users may give too, is no mechanism and has no row.

    Raises:
        InputError: listing the known names.
    """
    try:
        return ATTENTIONS[name]
    except KeyError:
        raise InputError(f"attention: {name!r} is not known; known: none, {', '.join(ATTENTIONS)}") from None
