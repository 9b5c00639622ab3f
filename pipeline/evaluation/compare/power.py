"""The smallest differences that a comparison can detect, and how many repeats a difference takes."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import scipy

from pipeline.evaluation.compare.crossed import Crossed, FloatArray, crossed
from pipeline.evaluation.compare.statistics import ALPHA, NO_SPREAD, critical_t, standard_error

# Fraction of comparisons that are to detect a true difference.
POWER = 0.8
# Probability of the numbers of discordant images that sums leave out.
NEGLIGIBLE = 1e-9
# Standard deviations of a normal value beyond which there is nothing to integrate.
BEYOND = 10.0
# The difference that a reader is told the price of: two points of a score in percent.
ASKED = 0.02
# More repeats than this are none that anybody trains.
MOST_REPEATS = 1000
# As many as infinitely many, as far as their variance goes.
COUNTLESS = 10**6


def smallest_detectable(
    differences: Sequence[float], *, train: float, test: float, repeats: int | None = None, alpha: float = ALPHA
) -> float | None:
    """Return the smallest true mean difference that `corrected_t` detects in 80 % of such experiments.

    Two-sided; the standard deviation of these n differences is taken for the true one.

    Args:
        differences: as for `corrected_t`.
        train: as for `interval`.
        test: as for `interval`.
        repeats: number of repeats of such experiments, >= 2; n where none is given.
        alpha: the p below which a difference is detected.

    Returns:
        The difference, in the unit of `differences`; None if they have no spread.
    """
    values = np.asarray(differences, dtype=np.float64)
    n = repeats or len(values)
    if standard_error(values, train=train, test=test) < NO_SPREAD * max(1.0, abs(float(values.mean()))):
        return None
    return _effect(n, alpha) * float(values.std(ddof=1) * np.sqrt(1 / n + test / train))


def smallest_detectable_crossed(
    gains: FloatArray, *, repeats: int | None = None, effective: float | None = None, alpha: float = ALPHA
) -> float | None:
    """Return the smallest true mean difference that `crossed.crossed_test` detects in about 80 % of such experiments.

    What the repeats' variance alone and the images' alone would need is added as squares, as the test adds half-widths.

    Args:
        gains: (n, m) as for `crossed.crossed_test`.
        repeats: number of repeats of such experiments on as many images, >= 2; n where none is given.
        effective: as for `crossed.crossed_test`.
        alpha: the p below which a difference is detected.

    Returns:
        The difference, in the unit of `gains`; None without any spread.
    """
    return _smallest_crossed(crossed(gains, effective=effective), repeats or len(gains), alpha)


def _smallest_crossed(parts: Crossed, repeats: int, alpha: float) -> float | None:
    fewer = parts.n / repeats
    images = _effect(parts.effective, alpha) ** 2
    # The repeats' variance holds the residual's, which is known far better: an estimate below it is chance, as 0 is of
    # two repeats whose means happen to be equal.
    of_repeats = max(parts.of_repeats, parts.residual)
    both = _effect(repeats, alpha) ** 2 * of_repeats * fewer + images * parts.of_images_alone
    # The residual is the one part of the images' variance that further repeats average out, and never more than that.
    floor = images * (parts.of_images_alone + parts.residual * fewer)
    return float(np.sqrt(max(both, floor))) or None


def repeats_for(difference: float, smallest: Callable[[int], float | None]) -> int | None:
    """Return the smallest number of repeats with which a true difference is detected in 80 % of experiments.

    Args:
        difference: > 0.
        smallest: returns the smallest difference that so many repeats detect, which falls with their number; None
            where there is no spread to tell it from.

    Returns:
        2 to `MOST_REPEATS`; None if not even so many suffice, or nothing is known.

    >>> repeats_for(0.02, lambda n: 0.08 / n**0.5)
    16
    """
    if (fewest := smallest(2)) is None:
        return None
    if fewest <= difference:
        return 2
    numbers = range(2, MOST_REPEATS + 1)
    place = bisect_left(numbers, -difference, key=lambda n: -(smallest(n) or 0.0))
    return numbers[place] if place < len(numbers) else None


def some_repeats_suffice(difference: float, smallest: Callable[[int], float | None]) -> bool:
    """Return whether any number of repeats detects a true difference, also where that is more than anybody trains.

    The part of the variance that all repeats share stays: that of a fixed test part's images, or of training parts that
    overlap.

    Args:
        difference: > 0.
        smallest: as for `repeats_for`.
    """
    limit = smallest(COUNTLESS)
    return limit is None or limit <= difference


@cache
def _effect(n: float, alpha: float) -> float:
    """Return the mean, in standard errors, that a t test of n values detects in 80 % of experiments."""
    critical = float(critical_t(n - 1, alpha))

    # By the side of the difference alone: a test that rejects on the other one is no detection.
    def missing(errors: float) -> float:
        return _t_power(errors, critical, n - 1) - POWER

    return float(scipy.optimize.brentq(missing, 1, max(100.0, 2 * critical)))


def _t_power(errors: float, critical: float, degrees: float) -> float:
    """Return the probability that t exceeds `critical` where the true mean is so many standard errors above 0.

    The integral over the mean's error Z: t exceeds it where the estimated standard error is below (Z + errors) /
    critical. SciPy's noncentral t does not converge with few degrees and the critical values of thousands of pairs.
    """

    def density(z: float) -> float:
        below = scipy.special.gammainc(degrees / 2, degrees / 2 * ((z + errors) / critical) ** 2)
        return float(math.exp(-(z**2) / 2) * below)

    area = scipy.integrate.quad(density, -min(errors, BEYOND), BEYOND, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
    return float(area) / math.sqrt(2 * math.pi)


# The number of discordant images, whole and small, is that of many pairs.
@cache
def smallest_detectable_on_one_part(discordant: int, images: int, *, alpha: float = ALPHA) -> float | None:
    """Return the smallest true difference of accuracies that exact McNemar detects in 80 % of test parts of this size.

    The fraction of images that only one of the two gets right is taken for the true one.

    Args:
        discordant: number of images that only one of the two gets right.
        images: number of images.
        alpha: the p below which a difference is detected.

    Returns:
        The difference, 0..1; None if so few images are discordant that no difference is detectable.
    """
    share = discordant / images
    if share == 0 or _mcnemar_power(share, share, images, alpha) < POWER:
        return None
    return float(scipy.optimize.brentq(lambda gain: _mcnemar_power(gain, share, images, alpha) - POWER, 0, share))


def _mcnemar_power(gain: float, share: float, images: int, alpha: float) -> float:
    """Return the power of exact McNemar if `share` of the images are discordant and accuracies differ by `gain`.

    The number m of discordant images is Binomial(images, share); of these the better one has Binomial(m, p) right.
    """
    few, many = scipy.stats.binom.interval(1 - NEGLIGIBLE, images, share)
    m = np.arange(few, many + 1)
    k = scipy.stats.binom.ppf(alpha / 2, m, 0.5)
    # The largest count of the rarer kind that rejects.
    most = np.where(scipy.stats.binom.cdf(k, m, 0.5) <= alpha / 2, k, k - 1)
    p = (share + gain) / (2 * share)
    rejected: Any = scipy.stats.binom.cdf(most, m, p) + scipy.stats.binom.sf(m - most - 1, m, p)
    return float((scipy.stats.binom.pmf(m, images, share) * rejected).sum())
