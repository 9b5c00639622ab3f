"""Spatial attention."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.networks.attention.checks import padding
from pipeline.networks.attention.contract import Attention
from pipeline.networks.attention.gate import make_gate


class SpatialAttention(Attention):
    """Position weights from the channels' mean and maximum in the neighborhood.

    a = gate(conv_kxk [mean_c x; max_c x]),  y = a x  with zero padding, no bias

    Args:
        channels: C.
        kernel_size: k, odd.
        gate_init: `paper` (sigmoid) or `identity`, see `make_gate`.

    Shape:
        Input and output (N, C, H, W), any H, W >= 1.

    Raises:
        InputError: for an even kernel, and for an unknown gate.

    Source:
        ECSM section 3.2.2, which states no pooling and no kernel size: both are CBAM's (Woo et al. 2018, section 3.2).
        Departure: none.
    """

    name: ClassVar[str] = "spatial"

    def __init__(self, channels: int, *, kernel_size: int = 7, gate_init: str = "paper") -> None:
        super().__init__(channels)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=padding(self.name, kernel_size), bias=False)
        self.gate = make_gate(gate_init, self.conv)

    def logits(self, x: Tensor) -> Tensor:
        """Return the gate's input, (N, H, W)."""
        pooled = torch.stack((x.mean(1), x.amax(1)), dim=1)  # (N, 2, H, W)
        logits: Tensor = self.conv(pooled)
        return logits.squeeze(1)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return `position`: a (N, H, W)."""
        return {"position": self.gate(self.logits(x))}
