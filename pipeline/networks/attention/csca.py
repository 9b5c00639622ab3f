"""CSCA: channel and spatial attention in one module."""

from typing import ClassVar

from torch import Tensor

from pipeline.core.errors import InputError
from pipeline.networks.attention.checks import padding, reduced
from pipeline.networks.attention.contract import Series, weigh
from pipeline.networks.attention.gate import make_gate
from pipeline.networks.attention.se import SqueezeExcitation
from pipeline.networks.attention.spatial import SpatialAttention

MODES = ("joint", "sequential")


class CSCA(Series):
    """Weights of values from their channel and their position.

    With the logits s (N, C) of `SqueezeExcitation` and t (N, H, W) of `SpatialAttention`:
    `joint`: y_chw = gate(s_c(x) + t_hw(x)) x_chw, both from the same input, multiplied once
    `sequential`: z_chw = gate(s_c(x)) x_chw,  y_chw = gate(t_hw(z)) z_chw

    Both modes have the same parameters under the same names.

    Args:
        channels: C.
        mode: `joint` or `sequential`.
        reduction: r of the channel MLP; C/r is rounded down.
        kernel_size: kernel size of the spatial part, odd.
        gate_init: `paper` (sigmoid) or `identity`, see `make_gate`.

    Shape:
        Input and output (N, C, H, W), any H, W >= 1.

    Raises:
        InputError: for an unknown mode or gate, a reduction that leaves no channel and an even kernel.

    Source:
        CSCA. The paper has no equations: both modes are our readings of it, `joint` the likelier one.
    """

    name: ClassVar[str] = "csca"
    channel: SqueezeExcitation
    spatial: SpatialAttention

    def __init__(
        self,
        channels: int,
        *,
        mode: str = "joint",
        reduction: int = 16,
        kernel_size: int = 7,
        gate_init: str = "paper",
    ) -> None:
        if mode not in MODES:
            raise InputError(f"attention {self.name!r}: mode {mode!r} is not known; known: {', '.join(MODES)}")
        # Checked here, so that messages name csca and not its parts.
        reduced(self.name, channels, reduction)
        padding(self.name, kernel_size)
        parts = {
            "channel": SqueezeExcitation(channels, reduction=reduction, gate_init=gate_init),
            "spatial": SpatialAttention(channels, kernel_size=kernel_size, gate_init=gate_init),
        }
        super().__init__(channels, parts)
        self.mode = mode
        self.gate = make_gate(gate_init)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return `channel_position` (N, C, H, W), or in mode `sequential` `channel.channel` and `spatial.position`."""
        if self.mode == "sequential":
            return super().maps(x)
        # Shapes (N, C, 1, 1) and (N, 1, H, W): the sum broadcasts to (N, C, H, W).
        logits = self.channel.logits(x)[:, :, None, None] + self.spatial.logits(x)[:, None]
        return {"channel_position": self.gate(logits)}

    def forward(self, x: Tensor) -> Tensor:
        """Return the features times the maps, in mode `sequential` part by part."""
        return super().forward(x) if self.mode == "sequential" else weigh(x, self.maps(x))
