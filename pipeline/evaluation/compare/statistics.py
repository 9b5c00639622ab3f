"""Confidence intervals and tests of differences; reads no file.

Scores over repeats are of two kinds. If every repeat draws a new random split, the training parts overlap, so that the
values are not independent and their plain standard error is too small: Nadeau and Bengio (2003, Inference for the
Generalization Error, Machine Learning 52, 239-281) raise the variance of the mean from sd^2 / n to
sd^2 (1 / n + test / train). If the test part is the same in every repeat and only the seed varies, there is nothing to
correct (`test=0` here): the interval is then of the mean over seeds on these very test images, and does not hold for
other images; `crossed` has the intervals that hold for both.

Each report waits for what is imported here: `scipy.stats` takes half a second, and is imported at its first use.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

FloatArray = npt.NDArray[np.float64]
# Of one set of repeats, or of each of many.
Sizes = float | FloatArray

# Two-sided error of every interval and test.
ALPHA = 0.05
# Spread relative to the values below which it is rounding alone.
NO_SPREAD = 1e-12
# Numbers that the bootstrap draws at a time, 64 MB.
DRAWN_AT_ONCE = 8_000_000


class Interval(NamedTuple):
    """Ends of a 95 % interval."""

    low: float
    high: float

    def covers_zero(self) -> bool:
        """Return whether the interval contains 0 or is not known (NaN)."""
        # Negated, so that NaN covers 0.
        return not (self.low > 0 or self.high < 0)


class TTest(NamedTuple):
    """A paired t test over n repeats.

    Attributes:
        statistic: t.
        p: two-sided.
        mean: of the differences.
        low: lower end of the 95 % interval of the mean.
        high: upper end.
        n: number of repeats.
    """

    statistic: float
    p: float
    mean: float
    low: float
    high: float
    n: int


def interval(values: Sequence[float], *, train: float, test: float) -> Interval:
    """Return the 95 % interval of the mean of n repeats: mean +- t_{n-1} sd sqrt(1/n + test/train).

    Args:
        values: n >= 2 scores.
        train: number of training images, > 0.
        test: number of test images if each repeat draws a new split; 0 if the test part is the same in all repeats,
            for the plain t interval.

    Raises:
        ValueError: for fewer than two values.

    >>> ecsm = [90.95, 89.78, 90.06, 90.64, 89.47]
    >>> [round(end, 2) for end in interval(ecsm, train=1618, test=686)]
    [88.84, 91.52]
    >>> [round(end, 2) for end in interval(ecsm, train=1618, test=0)]
    [89.42, 90.94]
    """
    array = np.asarray(values, dtype=np.float64)
    margin = critical_t(len(array) - 1) * standard_error(array, train=train, test=test)
    return Interval(float(array.mean() - margin), float(array.mean() + margin))


def critical_t(degrees: float, alpha: float | npt.NDArray[np.floating[Any]] = ALPHA) -> Any:
    """Return what |t| exceeds with probability `alpha`: `scipy.stats.t.isf(alpha / 2, degrees)`, to the bit."""
    return -scipy.special.stdtrit(degrees, np.divide(alpha, 2))


def standard_error(values: FloatArray, *, train: Sizes, test: Sizes) -> Any:
    """Return the standard error of the mean of (..., n) values with Nadeau and Bengio's correction, see `interval`."""
    n = values.shape[-1]
    if n < 2:
        raise ValueError(f"{n} value: a spread needs two")
    return values.std(-1, ddof=1) * np.sqrt(1 / n + test / train)


def wilson(right: float, total: float, *, worth: float | None = None) -> Interval:
    """Return Wilson's 95 % interval of a fraction: the accuracy of one trained network on all images like these.

    Args:
        right: number of right predictions.
        total: number of images.
        worth: how many independent images they are worth, see `units.effective`; all by default.

    >>> [round(end, 4) for end in wilson(15, 148)]
    [0.0624, 0.1605]
    >>> wilson(21, 21).high, wilson(0, 21).low
    (1.0, 0.0)
    """
    n = worth or total
    # In statsmodels' order, so that each digit is the same.
    share = right * (n / total) / n
    z = -scipy.special.ndtri(ALPHA / 2)
    shrunk = 1 + z**2 / n
    center = (share + z**2 / (2 * n)) / shrunk
    margin = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / shrunk
    # Rounding would end the interval of a share of 0 or 1 just short of the share itself.
    low = 0.0 if right == 0 else float(center - margin)
    return Interval(low, 1.0 if right == total else float(center + margin))


def corrected_t(differences: Sequence[float], *, train: float, test: float) -> TTest:
    """Test whether the mean of paired differences is 0: Nadeau and Bengio's corrected resampled t test.

    Equal differences have no spread: statistic and interval are NaN then, and p is 1.

    Args:
        differences: for each of n >= 2 repeats the one score minus the other, on the same split.
        train: as for `interval`.
        test: as for `interval`; 0 for the plain paired t test.

    Raises:
        ValueError: for fewer than two differences.

    >>> gains = [0.6, 0.89, 0.59, 1.75, 0.29]  # ECSM minus self-attention, ECSM paper, Table 7
    >>> result = corrected_t(gains, train=1618, test=686)
    >>> round(result.mean, 3), round(result.p, 2)
    (0.824, 0.14)
    """
    array = np.asarray(differences, dtype=np.float64)
    mean, statistic = float(array.mean()), float(_t(array, train=train, test=test))
    if np.isnan(statistic):
        return TTest(np.nan, 1.0, mean, np.nan, np.nan, len(array))
    p = float(t_p_values(array, train=train, test=test))
    return TTest(statistic, p, mean, *interval(differences, train=train, test=test), n=len(array))


def t_p_values(differences: FloatArray, *, train: Sizes, test: Sizes) -> FloatArray:
    """Return the two-sided p of `corrected_t` for many at once.

    Args:
        differences: (..., n) of n >= 2 repeats.
        train: (...) as for `interval`.
        test: (...) as for `interval`.
    """
    statistic = _t(differences, train=train, test=test)
    return np.where(np.isnan(statistic), 1.0, 2 * scipy.special.stdtr(differences.shape[-1] - 1, -np.abs(statistic)))


def _t(differences: FloatArray, *, train: Sizes, test: Sizes) -> FloatArray:
    """Return (...) the statistics of (..., n) differences; NaN without any spread."""
    mean, error = differences.mean(-1), standard_error(differences, train=train, test=test)
    without = error < NO_SPREAD * np.maximum(1.0, np.abs(mean))
    return np.where(without, np.nan, mean / np.where(without, 1.0, error))


def bootstrap_difference(
    right_a: npt.ArrayLike,
    right_b: npt.ArrayLike,
    *,
    tested: npt.ArrayLike | None = None,
    seed: int,
    resamples: int = 9_999,
) -> Interval:
    """Return a 95 % percentile interval of the difference of two accuracies, by drawing images with replacement.

    The trained networks are fixed, the test images vary. An image of several repeats is drawn with all of its
    predictions, since they are not independent.

    Args:
        right_a: (n,) in how many repeats a gets each image right; n >= 2.
        right_b: (n,) the same for b, images in the same order.
        tested: (n,) number of repeats that test each image; 1 each by default.
        seed: of the draws.
        resamples: number of draws.

    Returns:
        The interval of a's fraction of right predictions minus b's.
    """
    times = np.ones_like(right_a) if tested is None else tested
    counts = (np.asarray(each, dtype=np.float64).tobytes() for each in (right_a, right_b, times))
    a, b, tests = (_resampled(each, seed, resamples) for each in counts)
    low, high = np.percentile((a - b) / tests, [100 * ALPHA / 2, 100 * (1 - ALPHA / 2)])
    return Interval(float(low), float(high))


# An experiment has the same counts in each of its pairs. 80 MB of sums at most, beside the counts themselves.
@functools.lru_cache(maxsize=1024)
def _resampled(counts: bytes, seed: int, resamples: int) -> FloatArray:
    """Return (resamples,) the sum of each draw of counts, given as the bytes of (n,) float64 and drawn alike for one n.

    The draws are those of `scipy.stats.bootstrap`, which would make them anew for each pair.
    """
    values, rng = np.frombuffer(counts), np.random.default_rng(seed)
    number, at_once = len(values), max(1, DRAWN_AT_ONCE // len(values))
    sizes = [min(at_once, resamples - first) for first in range(0, resamples, at_once)]
    return np.concatenate([values[rng.integers(0, number, (size, number))].sum(-1) for size in sizes])


def holm(p_values: Sequence[float] | npt.NDArray[np.floating[Any]]) -> list[float]:
    """Return p values adjusted by Holm's step-down method, which bounds the family-wise error.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = p.argsort()
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return [float(one) for one in adjusted]
