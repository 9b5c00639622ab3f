"""The units of a test part that are independent of each other: images, or the groups of images that the user named.

Photographs of one specimen or one site are right or wrong together more often than others are, so that counting each as
evidence of its own makes intervals too narrow. Groups are sampled as a whole here, which is the usual treatment of
clusters in surveys (Kish 1965, Survey Sampling).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]


def units(paths: Sequence[str], groups: Mapping[str, str]) -> IntArray:
    """Return the number (m,) of each image's unit, by order of first images.

    Args:
        paths: of m images.
        groups: the group of each image that is in one, by path.

    >>> units(["1.jpg", "2.jpg", "3.jpg"], {"1.jpg": "nest", "3.jpg": "nest"}).tolist()
    [0, 1, 0]
    """
    # An image's own unit cannot be mistaken for a group of its name.
    keys = [(path in groups, groups.get(path, path)) for path in paths]
    number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys], dtype=np.int64)


def effective(unit: IntArray) -> float:
    """Return how many independent images a test part is worth at least: m^2 / sum m_g^2, m_g images in unit g.

    This takes the images of a unit to be right or wrong together, which is the least that they can be worth.

    >>> effective(np.array([0, 1, 2])), effective(np.array([0, 0, 1, 1]))
    (3.0, 2.0)
    """
    return float(len(unit) ** 2 / (np.bincount(unit) ** 2).sum())


def effective_groups(unit: IntArray) -> float:
    """Return by how many groups of one size a variance would be known as well: (sum m_g^2)^2 / sum m_g^4.

    This is Satterthwaite's number (1946, An Approximate Distribution of Estimates of Variance Components, Biometrics
    Bulletin 2, 110-114) for sums over groups whose images are right or wrong together, so that a large group has a
    large part of the variance.

    >>> effective_groups(np.array([0, 0, 1, 1])), round(effective_groups(np.array([0, 0, 0, 1])), 2)
    (2.0, 1.22)
    """
    return effective_number(np.bincount(unit))


def effective_number(sizes: npt.ArrayLike) -> float:
    """Return `effective_groups` of groups of these sizes."""
    squares = np.asarray(sizes, dtype=np.float64) ** 2
    return float(squares.sum() ** 2 / (squares**2).sum())


def sums(table: FloatArray, unit: IntArray) -> FloatArray:
    """Return the sums (..., G) over the images of each unit, of values (..., m)."""
    order = np.argsort(unit, kind="stable")
    firsts = np.searchsorted(unit[order], np.arange(unit.max() + 1))
    total: FloatArray = np.add.reduceat(table[..., order], firsts, axis=-1)
    return total


def by_unit(table: FloatArray, unit: IntArray) -> FloatArray:
    """Return a table (n, G) of units whose means are those of a table (n, m) of images.

    A cell is the mean of its row plus G/m times the sum over the unit's images of their differences to that mean. So
    the variance of a row's cells over G is that of a ratio estimator over clusters (Cochran 1977, Sampling Techniques,
    eq. 6.13, linearized). Where each image is a unit, it is the table itself.
    """
    means = table.mean(-1, keepdims=True)
    cells: FloatArray = means + sums(table - means, unit) * ((unit.max() + 1) / len(unit))
    return cells


def exchange_p(gains: npt.ArrayLike) -> float:
    """Return the two-sided p of the sum of gains, if each had either sign with equal probability.

    Args:
        gains: (n,) whole numbers; by how many images each group is better.

    >>> exchange_p([1, 1, 1, -1])
    0.625
    >>> exchange_p([3, -1])
    1.0
    """
    sizes = np.abs(np.asarray(gains)).astype(np.int64)
    # The probability of each sum: that of -n is at place 0, of n at the end.
    probability = np.ones(1)
    for size in sizes[sizes > 0]:
        wider = np.zeros(len(probability) + 2 * size)
        wider[: len(probability)] += probability / 2
        wider[2 * size :] += probability / 2
        probability = wider
    distance = np.abs(np.arange(len(probability)) - len(probability) // 2)
    return float(min(probability[distance >= abs(int(np.sum(gains)))].sum(), 1.0))
