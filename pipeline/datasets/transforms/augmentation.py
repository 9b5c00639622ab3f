"""What an augmentation is, and how its uniform numbers become what it needs."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """One way to vary images, each by draws of its own.

    Attributes:
        random_parameters: how many uniform numbers in [0, 1) an image takes.
        apply: from images (N, 3, S, S), uint8 or float in 0..255, and their draws (N, draws) to images (N, 3, S, S)
            of the same kind, or of float.
    """

    random_parameters: int
    apply: Callable[[Tensor, Tensor], Tensor]


def between(random_parameters: Tensor, low: float, high: float) -> Tensor:
    """Uniform in [0, 1) made uniform in [low, high)."""
    return low + (high - low) * random_parameters


def whole(random_parameters: Tensor, count: Tensor | int) -> Tensor:
    """Uniform in [0, 1) made one of the whole numbers 0 .. count - 1, each as likely, still of float.

    >>> import torch
    >>> whole(torch.tensor([0.0, 0.34, 0.99]), 3).tolist()
    [0.0, 1.0, 2.0]
    """
    return (random_parameters * count).floor()
