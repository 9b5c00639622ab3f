"""Augmentations that run on the device, on whole batches, each image with draws of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """One way to vary images.

    Attributes:
        draws: how many uniform numbers in [0, 1) an image needs.
        apply: from images (N, 3, S, S) and their draws (N, draws) to images of the same shape and type.
    """

    draws: int
    apply: Callable[[Tensor, Tensor], Tensor]


def horizontal_flip(images: Tensor, draws: Tensor) -> Tensor:
    """Mirror each image left to right with probability one half.

    Shape:
        images (N, 3, S, S), draws (N, 1); output as images.
    """
    mirrored = draws[:, 0] < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "flip": Augmentation(draws=1, apply=horizontal_flip),
}
