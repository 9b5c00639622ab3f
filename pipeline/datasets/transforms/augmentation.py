"""The type of an augmentation, and conversions of its uniform random parameters."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """One random operation on images, with random parameters per image.

    Attributes:
        random_parameters: number P of uniform numbers in [0, 1) per image.
        apply: takes images (N, 3, S, S), uint8 or float in 0..255, and random parameters (N, P); returns images
            (N, 3, S, S) of the same type, or float.
        computes_on_cpu: whether `apply` takes tensors on the CPU alone.
    """

    random_parameters: int
    apply: Callable[[Tensor, Tensor], Tensor]
    computes_on_cpu: bool = False


def between(random_parameters: Tensor, low: float, high: float) -> Tensor:
    """Map uniform numbers in [0, 1) to [low, high)."""
    return low + (high - low) * random_parameters


def whole(random_parameters: Tensor, count: Tensor | int) -> Tensor:
    """Map uniform numbers in [0, 1) to the integers 0..count - 1, with equal probability, as floats.

    >>> import torch
    >>> whole(torch.tensor([0.0, 0.34, 0.99]), 3).tolist()
    [0.0, 1.0, 2.0]
    """
    return (random_parameters * count).floor()
