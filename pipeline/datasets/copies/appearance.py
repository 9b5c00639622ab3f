"""Which images look alike to a network: the nearest of each by their features."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# Images that are nearest to each; of drawings on one background, 10 would miss 10 % of the crops by 40 %, 20 miss 5 %
# (60 among 1,000). Among 1,000 photographs, a copy cropped by 40 % of both sides is one of the 5 nearest
# of its original for all of 200, a letterboxed one for 99.5 %; a mirrored one is the nearest for all of 100, without
# features of the mirrored image.
NEAREST = 20
# Weight of the middle layer beside the last: what is seen, not only of which kind it is. With it, 100 % of those crops
# are among the 5 nearest, without it 97.5 %.
_MIDDLE = 0.7
_BLOCK = 1024
# Largest difference of gray levels in a row of a bar, after JPEG.
_ONE_COLOR = 8


class Features(NamedTuple):
    """Pooled features of N images: of the last layer, not negative (N, C), and of a middle one (N, D)."""

    last: Tensor
    middle: Tensor


Extract = Callable[[Sequence[Image.Image]], Features]


def without_bars(image: Image.Image) -> Image.Image:
    """Return an image without bars of one color at its edges: to a network, all letterboxed images look alike."""
    gray = np.asarray(image.convert("L"))
    top, bottom = _bars(gray)
    left, right = _bars(gray.T)
    return image.crop((left, top, image.width - right, image.height - bottom))


def _bars(gray: np.ndarray) -> tuple[int, int]:
    """Return how many rows of one color there are at the top and the bottom; none where little would be left."""
    varied = np.flatnonzero(gray.max(axis=1).astype(int) - gray.min(axis=1) > _ONE_COLOR)
    if len(varied) < len(gray) / 2:
        return 0, 0
    return int(varied[0]), len(gray) - 1 - int(varied[-1])


def directions(parts: Sequence[Features]) -> Tensor:
    """Return the features of a set as unit vectors (N, C + D), their products being the likeness of two images.

    The middle layer's are seen from the set's mean, which all images share.
    """
    last, middle = (torch.cat(layer) for layer in zip(*parts, strict=True))
    middle = _unit(middle - middle.mean(dim=0))
    return _unit(torch.cat([_unit(last.clamp(min=0).sqrt()), _MIDDLE * middle], dim=1))


def neighbors(vectors: Tensor) -> list[tuple[int, int]]:
    """Return the pairs of each image and its nearest, the lower index first, sorted; memory is bounded."""
    pairs: set[tuple[int, int]] = set()
    count = min(NEAREST + 1, len(vectors))
    for start in range(0, len(vectors), _BLOCK):
        nearest = (vectors[start : start + _BLOCK] @ vectors.T).topk(count, dim=1)[1]
        for one, others in enumerate(nearest.tolist(), start=start):
            pairs |= {(min(one, other), max(one, other)) for other in others if other != one}
    return sorted(pairs)


def _unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)
