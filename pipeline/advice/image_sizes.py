"""The choice of an image size before any network is trained: by a classifier on frozen features at each size."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.bank import folds
from pipeline.evaluation.compare import statistics
from pipeline.evaluation.compare.statistics import Interval

OPTION = "--sizes"
# What is worth trying where nothing else is known; the last is the side that most ImageNet weights were trained at.
USUAL = (96, 160, 224)


class Sized(NamedTuple):
    """A frozen backbone at one image size.

    Attributes:
        side: `image_size`, in pixels.
        pixels: of an image that the network gets, which a training's computing is about in proportion to.
        accuracy: of the logistic regression on its features, by nested cross-validation inside the training part.
        interval: 95 %, of the accuracy; None where there is none.
        parts: the accuracy of each part of the cross-validation, whose images are the same for all sizes.
        seconds: that the features and all fits took, when they were computed.
    """

    side: int
    pixels: int
    accuracy: float
    interval: Interval | None
    parts: Sequence[float]
    seconds: float


class Gap(NamedTuple):
    """How far a size is below the best: the mean over the parts, and the standard error of that mean."""

    mean: float
    error: float


def best(sizes: Sequence[Sized]) -> Sized:
    """Return the size of the highest accuracy; of equal ones the smallest."""
    return max(sizes, key=lambda one: (one.accuracy, -one.side))


def gap(sizes: Sequence[Sized], one: Sized) -> Gap:
    """Return how far a size is below the best, by paired differences over the parts.

    Training images of the parts overlap, so the standard error has Nadeau and Bengio's correction.
    """
    differences = np.subtract(best(sizes).parts, one.parts)
    # Of a division into k parts each has one k-th of the images, and the other k - 1 parts train.
    others = len(differences) / folds.REPEATS - 1
    error = statistics.standard_error(differences, train=others, test=1)
    return Gap(float(differences.mean()), float(error))


def chosen(sizes: Sequence[Sized]) -> Sized:
    """Return the smallest size within one standard error of the best, so that no pixels are paid that gain nothing.

    Args:
        sizes: at least one, on the same images.
    """
    return next(one for one in sorted(sizes, key=lambda one: one.side) if _is_close(sizes, one))


def _is_close(sizes: Sequence[Sized], one: Sized) -> bool:
    below = gap(sizes, one)
    return below.mean <= below.error


def next_step(side: int, photographs: int | None, *, instead: str = "") -> str:
    """Return a line that says that image sizes were not tried; "" where larger images hold no more detail.

    Args:
        side: the experiment's `image_size`.
        photographs: the median of their shorter sides, in pixels; None where it is not known.
        instead: the word after -S that sets the size, which the option takes the place of; "" for none.

    >>> next_step(160, 400).partition("Next step: ")[2]
    'add `--sizes 160,224`.'
    >>> next_step(160, 400, instead="image_size=160").partition("Next step: ")[2]
    'add `--sizes 160,224` and leave out -S image_size=160.'
    >>> next_step(96, 200), next_step(224, 400), next_step(96, None)
    ('', '', '')
    """
    larger = [one for one in USUAL if one > side]
    if photographs is None or photographs < USUAL[-1] or not larger:
        return ""
    return (
        f"Image sizes were not tried: this is for {side} pixels, and half of the photographs have {photographs:,} or "
        "more on their shorter side, so that a larger size may gain more than any strategy. Next step: add "
        f"`{OPTION} {','.join(map(str, [side, *larger]))}`{f' and leave out -S {instead}' if instead else ''}."
    )
