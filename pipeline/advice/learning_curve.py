"""The learning curve: how accuracy grows with the number of training images, and what more images are worth."""

from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import NamedTuple

import numpy as np
import scipy

from pipeline.core.errors import InputError
from pipeline.evaluation.compare import statistics
from pipeline.evaluation.compare.statistics import Interval

# Fractions of the training images at which the curve is measured.
FRACTIONS = (0.25, 0.5, 0.75, 1.0)
# Exponents of a curve: of few errors chance alone makes larger ones.
EXPONENTS = (-1.0, 2.0)


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


def is_perfect(repeats: Mapping[int, Sequence[Point]]) -> bool:
    """Return whether no network of a curve made an error, so that nothing can be seen in it."""
    return all(point.accuracy == 1 for points in repeats.values() for point in points)


def distinct(repeats: Mapping[int, Sequence[Point]]) -> dict[int, list[Point]]:
    """Return the points without fractions that have the same images as a larger one in all repeats.

    Where images come in groups, two fractions of a class may come to the same groups.
    """
    images: dict[float, set[tuple[int, int]]] = {}
    for number, points in repeats.items():
        for point in points:
            images.setdefault(point.fraction, set()).add((number, point.images))
    fractions = {frozenset(images[fraction]): fraction for fraction in sorted(images)}.values()
    return {number: [one for one in points if one.fraction in fractions] for number, points in repeats.items()}


def power_law(points: Sequence[Point]) -> tuple[float, float]:
    """Fit error = a * images^-b to the numbers of errors, by Poisson's likelihood.

    A power law without a floor is the simplest that small samples of a curve support (Viering and Loog 2023, arXiv
    2103.10948, section 4); where the error has a floor, what it says of many more images is too good. Logarithms of
    errors that chance made small would make it too flat. Given b, the likelihood is highest where a gives as many
    errors as there are, so that b alone is sought.

    Returns:
        a and b, which is within `EXPONENTS`; negative where more images made it worse. Both are 0 without an error.

    Raises:
        InputError: for fewer than two numbers of images.
    """
    if len({point.images for point in points}) < 2:
        raise InputError("a learning curve needs two numbers of training images or more")
    images, tested, accuracy = np.array([(one.images, one.tested, one.accuracy) for one in points]).T
    errors = tested * (1 - accuracy)
    if not (total := float(errors.sum())):
        return 0.0, 0.0

    def misfit(b: float) -> float:
        return float(b * errors @ np.log(images) + total * np.log(tested @ images**-b))

    b = float(scipy.optimize.minimize_scalar(misfit, bounds=EXPONENTS, method="bounded", options={"xatol": 1e-9}).x)
    return total / float(tested @ images**-b), b


def gain(repeats: Mapping[int, Sequence[Point]], more: int, *, trained: int, images: int, left: float = 1.0) -> Gain:
    """Return what more labeled images are expected to add to a network, by a curve through the points of all repeats.

    The curve is measured on inner training parts, which are smaller than the network's. The same fraction of the new
    images as of the present ones is for training. Of several repeats the mean and the interval are the jackknife's, of
    each repeat's pseudo-value; the interval has Nadeau and Bengio's correction, as training parts overlap.

    Args:
        repeats: the points of each repeat.
        more: number of new labeled images, > 0.
        trained: number of training images of the network.
        images: number of labeled images now.
        left: the error that the network has at most, of which none can gain more.

    Raises:
        InputError: for fewer than two numbers of images.
    """
    then = trained * (images + more) / images
    every = _gain(list(repeats.values()), trained, then)
    if (n := len(repeats)) < 2:
        return Gain(more, trained, min(every, left), None)
    without = [_gain([repeats[one] for one in repeats if one != number], trained, then) for number in repeats]
    values = [n * every - (n - 1) * one for one in without]
    mean = min(fmean(values), left)
    if np.allclose(values, values[0], rtol=0, atol=statistics.NO_SPREAD):
        return Gain(more, trained, mean, None)
    last = [max(points) for points in repeats.values()]
    low, high = statistics.interval(
        values, train=fmean(one.images for one in last), test=fmean(one.tested for one in last)
    )
    return Gain(more, trained, mean, Interval(max(low, left - 1), min(high, left)))


def _gain(repeats: Sequence[Sequence[Point]], now: float, then: float) -> float:
    a, b = power_law([*chain.from_iterable(repeats)])
    return float(a * (now**-b - then**-b))
