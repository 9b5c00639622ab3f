"""The convolutional block attention module."""

from typing import ClassVar

from torch import Tensor

from pipeline.networks.attention.checks import padding
from pipeline.networks.attention.contract import Series
from pipeline.networks.attention.se import SqueezeExcitation
from pipeline.networks.attention.spatial import SpatialAttention


class MeanAndMaximum(SqueezeExcitation):
    """CBAM's first part: channel weights from the channels' means and maxima.

    a = gate(MLP(mean_hw x) + MLP(max_hw x)),  y_c = a_c x_c  with one MLP(p) = W2 relu(W1 p), no biases

    Shape:
        Input and output (N, C, H, W), any H, W >= 1.

    Source:
        As `CBAM`.
    """

    name: ClassVar[str] = "cbam"

    def logits(self, x: Tensor) -> Tensor:
        """Return the gate's input, (N, C)."""
        return super().logits(x) + self.mlp(x.amax((2, 3)))


class CBAM(Series):
    """Channel weights, then position weights of the result: `MeanAndMaximum`, then `SpatialAttention`.

    Args:
        channels: C.
        reduction: r of the channel MLP; C/r is rounded down.
        kernel_size: kernel size of the spatial part, odd.
        gate_init: type of both gates: `paper` (sigmoid) or `identity`, see `make_gate`.

    Shape:
        Input and output (N, C, H, W), any H, W >= 1.

    Raises:
        InputError: for a reduction that leaves no channel, an even kernel and an unknown gate.

    Source:
        ECSM section 3.2.3, after Woo et al. 2018. ECSM states neither r nor k: 8 fits its Table 6, 7 is CBAM's.
        Departure: no biases and no batch norm, which CBAM's own code has; Table 6's 28.5 M fits with and without.
        Section 4.2 has it after a block's third convolution; that it follows its batch norm is a reading.
    """

    name: ClassVar[str] = "cbam"

    def __init__(self, channels: int, *, reduction: int = 8, kernel_size: int = 7, gate_init: str = "paper") -> None:
        # Checked here, so that the message names cbam and not its part.
        padding(self.name, kernel_size)
        channel = MeanAndMaximum(channels, reduction=reduction, gate_init=gate_init)
        spatial = SpatialAttention(channels, kernel_size=kernel_size, gate_init=gate_init)
        super().__init__(channels, {"channel": channel, "spatial": spatial})
