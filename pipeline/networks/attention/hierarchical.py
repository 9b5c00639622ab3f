"""Hierarchical spatial attention."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.networks.attention.contract import Attention, weigh
from pipeline.networks.attention.gate import make_gate
from pipeline.networks.attention.options import reduced

# Height and width of the memory: what a ResNet makes of an image of 224.
MEMORY_SIZE = 7

# Added to a variance under its root, whose slope is infinite at 0.
EPSILON = 1e-6


class HierarchicalAttention(Attention):
    """Weigh every position by what several views of it say together.

    a = gate(conv_1x1 [u1; u2; r; d] or, with memory, [u1; u2; r; d; m]),  y = a x
    scales      h1 = relu(conv_3x3/2 x), h2 = relu(conv_3x3/2 h1), u_s = resize(sigmoid(conv_1x1 h_s))
    relevance   r = sigmoid(conv_3x3 x)
    change      z = conv_3x3 x, d = sigmoid(sqrt(max(mean z^2 - (mean z)^2, 0) + 1e-6))
    memory      m = resize(M); after each batch in train mode M <- momentum M + (1 - momentum) mean_n a

    h1 and h2 have C/r channels, all else has one. All convolutions have biases and zeros beyond the border; z's bias
    cancels in d and so does nothing. The means in d are over those of the 3x3 neighbours that lie within the map.
    Resizing is bilinear, to H x W. M is a 7 x 7 buffer, so that files of weights fit features of any size; the map a is
    brought to it by averaging. It starts as gate(0), no gradient flows through it, and `maps` leaves it as it is.

    Args:
        channels: C.
        reduction: r of the two scales; C/r is rounded down.
        gate_init: `paper` (sigmoid) or `identity`, see `make_gate`.
        temporal_memory: whether there is an M.
        memory_momentum: how much of M a batch keeps, from 0 to under 1; without memory it is not used.

    Attributes:
        memory: M (1, 1, 7, 7), or None.

    Shape:
        Input and output (N, C, H, W), any H, W >= 1.

    Raises:
        InputError: for a reduction that leaves no channel, an unknown gate and a momentum out of its range.

    Source:
        Hierarchical section III (relevance: Eq. 12-13). Ours, where the paper gives words alone: the sizes of all
        convolutions but the relevance's, the ReLUs, one channel a scale, the neighbourhood, the last sigmoid, and the
        whole of the memory, which the paper names and never defines.
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
        self.join = nn.Conv2d(5 if temporal_memory else 4, 1, 1)
        self.gate = make_gate(gate_init, self.join)
        start = self.gate(torch.zeros(1, 1, MEMORY_SIZE, MEMORY_SIZE))
        self.register_buffer("memory", start if temporal_memory else None)
        self.memory_momentum = memory_momentum

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`position`: a (N, H, W)."""
        image_transform = [*self._scales(x), torch.sigmoid(self.relevance(x)), self._change(x)]
        if self.memory is not None:
            image_transform.append(_resize(self.memory, x).expand(len(x), -1, -1, -1))
        joined: Tensor = self.join(torch.cat(image_transform, dim=1))  # (N, 1, H, W)
        return {"position": self.gate(joined).squeeze(1)}

    def forward(self, x: Tensor) -> Tensor:
        """The features, weighed by the map; in train mode the memory then takes the map in."""
        maps = self.maps(x)
        if self.memory is not None and self.training:
            seen = maps["position"].detach().mean(0, keepdim=True).to(self.memory.dtype)
            self.memory.lerp_(F.adaptive_avg_pool2d(seen, MEMORY_SIZE)[None], 1 - self.memory_momentum)
        return weigh(x, maps)

    def _scales(self, x: Tensor) -> list[Tensor]:
        found, features = [], x
        for down, scale in zip(self.down, self.scales, strict=True):
            features = torch.relu(down(features))
            found.append(_resize(torch.sigmoid(scale(features)), x))
        return found

    def _change(self, x: Tensor) -> Tensor:
        # In the parameters' own type: the difference of two squares has too few digits left in half precision.
        z = self.change(x).to(self.change.weight.dtype)
        variance = _neighbours_mean(z**2) - _neighbours_mean(z) ** 2
        return torch.sigmoid((variance.clamp(min=0) + EPSILON).sqrt())


def _neighbours_mean(z: Tensor) -> Tensor:
    # Without the zeros beyond the border, which would be a change of their own.
    return F.avg_pool2d(z, 3, stride=1, padding=1, count_include_pad=False)


def _resize(image_transform: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(image_transform, size=like.shape[2:], mode="bilinear", align_corners=False)
