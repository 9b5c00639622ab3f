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
        fraction: of the training images of its division, see `FRACTIONS`.
    """

    images: int
    accuracy: float
    tested: int
    fraction: float


class Gain(NamedTuple):
    """The accuracy that more labeled images are expected to add to a network.

    Attributes:
        images: how many more labeled images.
        trained: number of training images that the network has now.
        mean: added accuracy, over the repeats.
        interval: 95 %, over the repeats; None for a single one, or without spread.
    """

    images: int
    trained: int
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


def gain(repeats: Mapping[int, Sequence[Point]], more: int, *, trained: int, images: int) -> Gain:
    """Return what more labeled images are expected to add to a network, by each repeat's own curve.

    The curve is measured on inner training parts, which are smaller than the network's. The same fraction of the new
    images as of the present ones is for training. The interval has Nadeau and Bengio's correction, as the repeats'
    training parts overlap.

    Args:
        repeats: the points of each repeat.
        more: number of new labeled images, > 0.
        trained: number of training images of the network.
        images: number of labeled images now.

    Raises:
        InputError: where a repeat has fewer than two numbers of images.
    """
    then = trained * (images + more) / images
    gains = [_gain(points, trained, then) for points in repeats.values()]
    last = [max(points) for points in repeats.values()]
    if len(gains) < 2 or np.allclose(gains, gains[0], rtol=0, atol=statistics.NO_SPREAD):
        return Gain(more, trained, float(np.mean(gains)), None)
    train, test = (float(np.mean(sizes)) for sizes in zip(*((one.images, one.tested) for one in last), strict=True))
    return Gain(more, trained, float(np.mean(gains)), statistics.interval(gains, train=train, test=test))


def _gain(points: Sequence[Point], now: float, then: float) -> float:
    a, b = power_law(points)
    return float(a * (now**-b - then**-b))
