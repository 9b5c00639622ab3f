"""The learning curve: how accuracy grows with the number of training images, and what more images are worth."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.core.errors import InputError
from pipeline.evaluation.compare import statistics
from pipeline.evaluation.compare.statistics import Interval

# Fractions of the training images at which the curve is measured.
FRACTIONS = (0.25, 0.5, 0.75, 1.0)


class Point(NamedTuple):
    """The accuracy of one training.

    Attributes:
        images: number of training images.
        accuracy: 0..1.
        tested: number of test images.
    """

    images: int
    accuracy: float
    tested: int


class Gain(NamedTuple):
    """The accuracy that more training images are expected to add.

    Attributes:
        images: how many more.
        mean: added accuracy, over the repeats.
        interval: 95 %, over the repeats; None for a single one, or without spread.
    """

    images: int
    mean: float
    interval: Interval | None


def power_law(points: Sequence[Point]) -> tuple[float, float]:
    """Fit error = a * images^-b through the points of one repeat, by least squares of the logarithms.

    A power law without a floor is the simplest that small samples of a curve support (Viering and Loog 2023, arXiv
    2103.10948, section 4); where the error has a floor, what it says of many more images is too good. An error of zero
    is taken for half an image.

    Returns:
        a and b; b is negative where more images made it worse.

    Raises:
        InputError: for fewer than two numbers of images.
    """
    if len({point.images for point in points}) < 2:
        raise InputError("a learning curve needs two numbers of training images or more")
    errors = [max(1 - point.accuracy, 0.5 / point.tested) for point in points]
    slope, start = np.polyfit(np.log([point.images for point in points]), np.log(errors), 1)
    return float(np.exp(start)), float(-slope)


def gain(repeats: Mapping[int, Sequence[Point]], more: int) -> Gain:
    """Return what more training images are expected to add, by each repeat's own curve.

    The interval has Nadeau and Bengio's correction, as the repeats' training parts overlap.

    Args:
        repeats: the points of each repeat, its largest number of images being all that there are.
        more: > 0.

    Raises:
        InputError: where a repeat has fewer than two numbers of images.
    """
    gains = [_gain(points, more) for points in repeats.values()]
    last = [max(points) for points in repeats.values()]
    if len(gains) < 2 or np.allclose(gains, gains[0], rtol=0, atol=statistics.NO_SPREAD):
        return Gain(more, float(np.mean(gains)), None)
    trained, tested = (float(np.mean(sizes)) for sizes in zip(*((one.images, one.tested) for one in last), strict=True))
    return Gain(more, float(np.mean(gains)), statistics.interval(gains, train=trained, test=tested))


def _gain(points: Sequence[Point], more: int) -> float:
    a, b = power_law(points)
    now = max(point.images for point in points)
    return float(a * (now**-b - (now + more) ** -b))
