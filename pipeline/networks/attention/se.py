"""Squeeze and excitation."""

from typing import ClassVar

from torch import Tensor, nn

from pipeline.networks.attention.checks import reduced
from pipeline.networks.attention.contract import Attention
from pipeline.networks.attention.gate import make_gate


class SqueezeExcitation(Attention):
    """Channel weights from the means of all channels.

    p = mean_hw x,  a = gate(W2 relu(W1 p)),  y_c = a_c x_c  with W1 (C/r, C) and W2 (C, C/r), no biases

    Args:
        channels: C.
        reduction: r; C/r is rounded down.
        gate_init: `paper` (sigmoid) or `identity`, see `make_gate`.

    Shape:
        Input and output (N, C, H, W), any H, W >= 1.

    Raises:
        InputError: for a reduction that leaves no channel, and for an unknown gate.

    Source:
        ECSM Eq. 1-3. The paper states no r: 16 fits its Table 6. Departure: none.
    """

    name: ClassVar[str] = "se"

    def __init__(self, channels: int, *, reduction: int = 16, gate_init: str = "paper") -> None:
        super().__init__(channels)
        width = reduced(self.name, channels, reduction)
        self.squeeze = nn.Linear(channels, width, bias=False)
        self.relu = nn.ReLU()
        self.excite = nn.Linear(width, channels, bias=False)
        self.gate = make_gate(gate_init, self.excite)

    def mlp(self, pooled: Tensor) -> Tensor:
        """Apply both layers to one value per channel: (N, C) -> logits (N, C)."""
        logits: Tensor = self.excite(self.relu(self.squeeze(pooled)))
        return logits

    def logits(self, x: Tensor) -> Tensor:
        """Return the gate's input, (N, C)."""
        return self.mlp(x.mean((2, 3)))

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return `channel`: a (N, C)."""
        return {"channel": self.gate(self.logits(x))}
