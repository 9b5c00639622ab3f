"""ECSM: efficient channel, spatial and self-attention in series."""

from typing import ClassVar

from pipeline.networks.attention.checks import padding, reduced
from pipeline.networks.attention.contract import Series
from pipeline.networks.attention.eca import EfficientChannel
from pipeline.networks.attention.selfattention import SelfAttention
from pipeline.networks.attention.spatial import SpatialAttention


class ECSM(Series):
    """Channel weights, then position weights, then self-attention over positions.

    y = SelfAttention(SpatialAttention(EfficientChannel(x)))

    Args:
        channels: C.
        reduction: r of self-attention's queries and keys.
        kernel_size: kernel size of the spatial part, odd.
        gate_init: type of the two gates: `paper` (sigmoid) or `identity`, see `make_gate`.

    Shape:
        Input and output (N, C, H, W), any H, W >= 1.

    Raises:
        InputError: for a reduction that leaves no channel, an even kernel and an unknown gate.

    Source:
        ECSM section 3.2.5. Departures: no such structure has the 4,154,123 parameters of its Table 3; this one has the
        5,245,546 (at C = 2048) that fit its Table 6. Table 3 prints the activation ReLU, for this module as for all
        layers; section 3.2.5 has none, and neither has this.
    """

    name: ClassVar[str] = "ecsm"

    def __init__(self, channels: int, *, reduction: int = 8, kernel_size: int = 7, gate_init: str = "paper") -> None:
        # Checked here, so that messages name ecsm and not its parts.
        reduced(self.name, channels, reduction)
        padding(self.name, kernel_size)
        parts = {
            "eca": EfficientChannel(channels, gate_init=gate_init),
            "spatial": SpatialAttention(channels, kernel_size=kernel_size, gate_init=gate_init),
            "self": SelfAttention(channels, reduction=reduction),
        }
        super().__init__(channels, parts)
