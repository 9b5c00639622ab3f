"""McNemar's exact test of two networks on the same images, and its counterpart for groups of images."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from pipeline.evaluation.compare import units

FloatArray = npt.NDArray[np.floating[Any]]


class McNemar(NamedTuple):
    """McNemar's exact test of two networks on the same images, or its counterpart for groups of images.

    Attributes:
        only_a: images that only a gets right.
        only_b: images that only b gets right.
        p: two-sided.
        groups: how many groups were exchanged as a whole; 0 for McNemar's test itself, of single images.
    """

    only_a: int
    only_b: int
    p: float
    groups: int = 0


def p_name(groups: int) -> str:
    """Return the name of the p of a `McNemar` with so many groups."""
    return "p of exchanged groups" if groups else "McNemar's p"


def exact(right_a: npt.ArrayLike, right_b: npt.ArrayLike, unit: npt.NDArray[np.int64] | None = None) -> McNemar:
    """Test whether two networks have the same accuracy on the same images, by the images that only one gets right.

    Args:
        right_a: (n,) whether a gets each image right.
        right_b: (n,) the same for b, images in the same order.
        unit: (n,) number of the group of images that each belongs to; None where each is on its own. Then p is
            that of the exact permutation test that exchanges a and b in whole groups, of which McNemar's is the case
            of groups of one image.

    >>> exact([1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 0])
    McNemar(only_a=3, only_b=1, p=0.625, groups=0)
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if unit is None:
        return McNemar(only_a, only_b, float(p_values(only_a, only_b)))
    gains = units.sums(a.astype(np.int64) - b, unit)
    return McNemar(only_a, only_b, units.exchange_p(gains), len(gains))


def p_values(only_a: npt.ArrayLike, only_b: npt.ArrayLike) -> FloatArray:
    """Return the two-sided p of McNemar's exact test, for many at once.

    Only the discordant images decide.

    Args:
        only_a: (...) how many images only a gets right.
        only_b: (...) the same for b.
    """
    one, other = np.asarray(only_a), np.asarray(only_b)
    p: FloatArray = np.minimum(2 * scipy.stats.binom.cdf(np.minimum(one, other), one + other, 0.5), 1.0)
    return p
