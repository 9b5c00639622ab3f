"""The attention mechanisms and their positions in a network, one row each; imports no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.choices import Choice, load

if TYPE_CHECKING:
    from pipeline.networks.attention.contract import Attention
    from pipeline.networks.insertion import Site
    from pipeline.networks.network import Network


@dataclass(frozen=True, kw_only=True)
class Position(Choice):
    """One position of attention modules.

    Attributes:
        function: "module:name" of the function that lists the sites of a network at this position.
    """

    function: str

    def sites(self, network: "Network", shapes: Mapping[str, tuple[int, ...]]) -> "list[Site]":
        """List the sites of a network; imports torch.

        Args:
            network: a network without attention.
            shapes: output shapes by step, as `insertion.shapes` returns them.
        """
        sites: list[Site] = load(self.function)(network, shapes)
        return sites


POSITIONS: dict[str, Position] = {
    "every_stage": Position(
        title="after every stage",
        description="a module after each of the four blocks",
        function="pipeline.networks.insertion:after_every_stage",
    ),
    "residual_block": Position(
        title="in every residual block",
        description="a module in every residual unit, before the shortcut is added",
        function="pipeline.networks.insertion:in_residual_blocks",
    ),
    "last_stage": Position(
        title="behind the last stage",
        description="one module after the last block, before pooling",
        function="pipeline.networks.insertion:after_last_stage",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Mechanism(Choice):
    """One attention mechanism, or none.

    Attributes:
        module: "module:Class", called with C and, by keyword, the mechanism's options; empty for none.
        position: a row of `POSITIONS`: that of its paper, of `eca` and `spatial` ours; empty for none.
        weighs_positions: whether it needs maps of at least 2 x 2 positions.
    """

    module: str = ""
    position: str = ""
    weighs_positions: bool = False

    @property
    def make(self) -> "Callable[..., Attention]":
        """The mechanism's class; reading this imports torch."""
        module: Callable[..., Attention] = load(self.module)
        return module


ATTENTIONS: dict[str, Mechanism] = {
    "none": Mechanism(
        title="none",
        description="no attention",
    ),
    "se": Mechanism(
        title="squeeze and excitation",
        description="weighs channels: two small layers read the channels' means",
        options="pipeline.networks.attention.options:ReducedOptions",
        module="pipeline.networks.attention.se:SqueezeExcitation",
        position="every_stage",
    ),
    "eca": Mechanism(
        title="efficient channel attention",
        description="weighs channels: a 1-D convolution reads the means of neighboring channels",
        options="pipeline.networks.attention.options:Gated",
        module="pipeline.networks.attention.eca:EfficientChannel",
        position="last_stage",
    ),
    "spatial": Mechanism(
        title="spatial attention",
        description="weighs positions: a convolution reads the mean and maximum over the channels",
        options="pipeline.networks.attention.options:SpatialOptions",
        module="pipeline.networks.attention.spatial:SpatialAttention",
        position="last_stage",
        weighs_positions=True,
    ),
    "cbam": Mechanism(
        title="CBAM",
        description="weighs channels, then positions",
        options="pipeline.networks.attention.options:CbamOptions",
        module="pipeline.networks.attention.cbam:CBAM",
        position="residual_block",
        weighs_positions=True,
    ),
    "self": Mechanism(
        title="self-attention",
        description="weighs positions: each is compared with all others",
        options="pipeline.networks.attention.options:SelfOptions",
        module="pipeline.networks.attention.selfattention:SelfAttention",
        position="last_stage",
        weighs_positions=True,
    ),
    "ecsm": Mechanism(
        title="ECSM",
        description="applies eca, spatial and self, one after the other",
        options="pipeline.networks.attention.options:CbamOptions",
        module="pipeline.networks.attention.ecsm:ECSM",
        position="last_stage",
        weighs_positions=True,
    ),
    "ca": Mechanism(
        title="CSCA's channel attention",
        description="weighs channels like se, inside each residual block",
        options="pipeline.networks.attention.options:ReducedOptions",
        module="pipeline.networks.attention.ca:ChannelAttention",
        position="residual_block",
    ),
    "sa": Mechanism(
        title="CSCA's spatial attention",
        description="weighs positions like spatial, inside each residual block",
        options="pipeline.networks.attention.options:SpatialOptions",
        module="pipeline.networks.attention.sa:UnitSpatialAttention",
        position="residual_block",
        weighs_positions=True,
    ),
    "csca": Mechanism(
        title="CSCA",
        description="combines ca and sa: in one joint map, or one after the other",
        options="pipeline.networks.attention.options:CscaOptions",
        module="pipeline.networks.attention.csca:CSCA",
        position="residual_block",
        weighs_positions=True,
    ),
    "hierarchical": Mechanism(
        title="hierarchical attention",
        description="weighs positions by combining two scales, relevance and change",
        options="pipeline.networks.attention.options:HierarchicalOptions",
        module="pipeline.networks.attention.hierarchical:HierarchicalAttention",
        position="last_stage",
        weighs_positions=True,
    ),
}
