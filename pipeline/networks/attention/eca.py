"""Efficient channel attention."""

import math
from typing import ClassVar

from torch import Tensor, nn

from pipeline.networks.attention.contract import Attention
from pipeline.networks.attention.gate import make_gate


def kernel_size(channels: int) -> int:
    """Return k, the number of neighboring channels: |log2(C)/2 + 1/2| rounded down, plus 1 where that is even.

    Source:
        ECSM Eq. 5 with its defaults, 2 and 1. Departure: rounding follows ECA-Net (down, to an odd number); the
        brackets in the paper round up.

    >>> {channels: kernel_size(channels) for channels in (64, 128, 256, 512, 1024, 2048)}
    {64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}
    """
    # `| 1` makes an even number odd, so that the kernel has a center.
    return int(abs(math.log2(channels) / 2 + 1 / 2)) | 1


class EfficientChannel(Attention):
    """Channel weights from the means of the k neighbors in the order of channels.

    p = mean_hw x,  a_c = gate(sum_j w_j p_(c + j - (k - 1)/2)),  y_c = a_c x_c  with zeros beyond the ends, no bias

    Args:
        channels: C, which determines k (`kernel_size`).
        gate_init: `paper` (sigmoid) or `identity`, see `make_gate`.

    Shape:
        Input and output (N, C, H, W), any H, W >= 1.

    Raises:
        InputError: for an unknown gate.

    Source:
        ECSM Eq. 4-5. Departure: only in k, see `kernel_size`.
    """

    name: ClassVar[str] = "eca"

    def __init__(self, channels: int, *, gate_init: str = "paper") -> None:
        super().__init__(channels)
        size = kernel_size(channels)
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
        self.gate = make_gate(gate_init, self.conv)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return `channel`: a (N, C)."""
        pooled = x.mean((2, 3)).unsqueeze(1)  # (N, 1, C)
        return {"channel": self.gate(self.conv(pooled).squeeze(1))}
