"""Mixup and CutMix: each image of a batch is mixed with another one of it, and so are their labels in the loss."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.core import seeding
from pipeline.training.contract import TrainingPlan

# Of a batch that takes CutMix where both are on.
CUT = 0.5


@dataclass(frozen=True)
class Mix:
    """How the images of a batch are mixed, each with the one before it.

    Attributes:
        share: of an image's own label, in [0, 1].
        box: top, bottom, left and right, in pixels, of what is the other image's; None to add both, weighted.
    """

    share: float
    box: tuple[int, int, int, int] | None = None

    def images(self, x: Tensor) -> Tensor:
        """Return the mixed images (N, 3, S, S)."""
        other = x.roll(1, 0)
        if self.box is None:
            return torch.lerp(other, x, self.share)
        top, bottom, left, right = self.box
        mixed = x.clone()
        mixed[..., top:bottom, left:right] = other[..., top:bottom, left:right]
        return mixed

    def loss(self, loss: Callable[[Tensor], Tensor], labels: Tensor) -> Tensor:
        """Return the loss of both labels (N,), weighted: that of the mixed targets, since it is linear in these."""
        return self.share * loss(labels) + (1 - self.share) * loss(labels.roll(1))

    def main(self, labels: Tensor) -> Tensor:
        """Return the label (N,) of the larger part of each image."""
        return labels if self.share >= 0.5 else labels.roll(1)


def is_on(plan: TrainingPlan) -> bool:
    """Return whether Mixup or CutMix is on, so that no image is seen twice."""
    return plan.mixup > 0 or plan.cutmix > 0


def draw(plan: TrainingPlan, batches: int, *, side: int, seed: int, epoch: int) -> list[Mix | None]:
    """Return the mix of each batch of an epoch; None for each where nothing is mixed.

    Args:
        plan: the parameters of both Beta distributions; where both are on, a batch has either with equal probability.
        batches: how many there are.
        side: of the images, in pixels.
        seed: of the run.
        epoch: counted from 1.
    """
    if not is_on(plan):
        return [None] * batches
    numbers = np.random.default_rng(seeding.derive("mixing", seed, epoch))
    return [_draw(plan, side, numbers) for _ in range(batches)]


def _draw(plan: TrainingPlan, side: int, numbers: np.random.Generator) -> Mix:
    cuts = plan.cutmix > 0 and (plan.mixup == 0 or numbers.random() < CUT)
    alpha = plan.cutmix if cuts else plan.mixup
    share = float(numbers.beta(alpha, alpha))
    return cut(share, *numbers.integers(side, size=2).tolist(), side=side) if cuts else Mix(share)


def cut(share: float, x: int, y: int, *, side: int) -> Mix:
    """Return CutMix with a box around a point, of which what lies outside the image is cut off.

    Args:
        share: of the image that the box would leave.
        x: the point's column.
        y: the point's row.
        side: of the image, in pixels.

    Source:
        torchvision.transforms.v2.CutMix and MixUp, after Yun et al. 2019 and Zhang et al. 2018. Departures: none but
        where the random numbers come from.
    """
    half = int(0.5 * math.sqrt(1 - share) * side)
    left, right, top, bottom = max(x - half, 0), min(x + half, side), max(y - half, 0), min(y + half, side)
    return Mix(1 - (right - left) * (bottom - top) / side**2, (top, bottom, left, right))
