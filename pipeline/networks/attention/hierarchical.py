"""Hierarchical spatial attention."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.networks.attention.checks import reduced
from pipeline.networks.attention.contract import Attention, weigh
from pipeline.networks.attention.gate import make_gate
from pipeline.networks.attention.steady import sigmoid
from pipeline.networks.resizing import average, bilinear

# Height and width of the memory: those of a ResNet's last feature map for images of 224 x 224.
MEMORY_SIZE = 7

# Added to a variance before the square root, whose gradient at 0 is infinite.
EPSILON = 1e-6


class HierarchicalAttention(Attention):
    """Position weights from two scales, relevance and local change together.

    a = gate(conv_1x1 [u1; u2; r; d] or, with memory, [u1; u2; r; d; m]),  y = a x
    scales      h1 = relu(conv_3x3/2 x), h2 = relu(conv_3x3/2 h1), u_s = resize(sigmoid(conv_1x1 h_s))
    relevance   r = sigmoid(conv_3x3 x)
    change      z = conv_3x3 x, d = sigmoid(sqrt(max(mean z^2 - (mean z)^2, 0) + 1e-6))
    memory      m = resize(M); after each batch in train mode M <- momentum M + (1 - momentum) mean_n a

    h1 and h2 have C/r channels, all other maps have one. All convolutions have biases and zero padding; z's bias
    cancels in d and has no effect. The means in d are over those of the 3x3 neighbors that lie within the map.
    Resizing is bilinear, to H x W. M is a 7 x 7 buffer, so that files of weights fit features of any size; the map a is
    averaged to that size. M starts as gate(0), takes no gradient, and `maps` does not change it.

    Args:
        channels: C.
        reduction: r of the two scales; C/r is rounded down.
        gate_init: `paper` (sigmoid) or `identity`, see `make_gate`.
        temporal_memory: whether M exists.
        memory_momentum: fraction of M that remains after a batch, 0 to less than 1; not used without memory.

    Attributes:
        memory: M (1, 1, 7, 7), or None.

    Shape:
        Input and output (N, C, H, W), any H, W >= 1.

    Raises:
        InputError: for a reduction that leaves no channel, an unknown gate and a momentum out of its range.

    Source:
        Hierarchical section III (relevance: Eq. 12-13). Ours, where the paper has words without equations: the sizes
        of all convolutions (Eq. 12 has 3 x 3 as an example), the ReLUs, one channel per scale, the neighborhood, the
        last sigmoid, and the whole memory, which the paper mentions and never defines.
    """

    name: ClassVar[str] = "hierarchical"
    memory: Tensor | None

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        gate_init: str = "paper",
        temporal_memory: bool = False,
        memory_momentum: float = 0.9,
    ) -> None:
        super().__init__(channels)
        if not 0 <= memory_momentum < 1:
            raise InputError(
                f"attention {self.name!r}: memory_momentum {memory_momentum} is out of range; give 0 to less than 1"
            )
        width = reduced(self.name, channels, reduction)
        self.down = nn.ModuleList(nn.Conv2d(c, width, 3, stride=2, padding=1) for c in (channels, width))
        self.scales = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in self.down)
        self.relevance = nn.Conv2d(channels, 1, 3, padding=1)
        self.change = nn.Conv2d(channels, 1, 3, padding=1)
        # Inputs: two scales, relevance, change and, if it exists, the memory.
        self.join = nn.Conv2d(5 if temporal_memory else 4, 1, 1)
        self.gate = make_gate(gate_init, self.join)
        start = self.gate(torch.zeros(1, 1, MEMORY_SIZE, MEMORY_SIZE))
        self.register_buffer("memory", start if temporal_memory else None)
        self.memory_momentum = memory_momentum

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return `position`: a (N, H, W)."""
        parts = [*self._scales(x), sigmoid(self.relevance(x)), self._change(x)]  # (N, 1, H, W) each
        if self.memory is not None:
            parts.append(_resize(self.memory, x).expand(x.shape[0], -1, -1, -1))
        joined: Tensor = self.join(torch.cat(parts, dim=1))  # (N, 1, H, W)
        return {"position": self.gate(joined).squeeze(1)}

    def forward(self, x: Tensor) -> Tensor:
        """Return the features times the map; in train mode, then update the memory with the map."""
        maps = self.maps(x)
        if self.memory is not None and self.training:
            mean = maps["position"].detach().mean(0, keepdim=True).to(self.memory.dtype)  # (1, H, W)
            self.memory.lerp_(average(mean, MEMORY_SIZE)[None], 1 - self.memory_momentum)
        return weigh(x, maps)

    def _scales(self, x: Tensor) -> list[Tensor]:
        scales, features = [], x
        for down, scale in zip(self.down, self.scales, strict=True):
            features = torch.relu(down(features))
            scales.append(_resize(sigmoid(scale(features)), x))
        return scales

    def _change(self, x: Tensor) -> Tensor:
        # In the parameters' type: in half precision the difference of two squares loses most of its digits.
        z = self.change(x).to(self.change.weight.dtype)
        variance = _neighbors_mean(z**2) - _neighbors_mean(z) ** 2
        # Rounding may make it negative.
        variance = variance.clamp(min=0) + EPSILON
        # In place of `sqrt`, which on a CPU is MKL's, and follows from the CPU's maker: `cpu_instructions: portable`.
        return sigmoid(variance * variance.rsqrt())


def _neighbors_mean(z: Tensor) -> Tensor:
    # Padding is not counted: its zeros would be a change at the border.
    return F.avg_pool2d(z, 3, stride=1, padding=1, count_include_pad=False)


def _resize(maps: Tensor, like: Tensor) -> Tensor:
    return bilinear(maps, *like.shape[2:])
