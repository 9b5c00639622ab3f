"""The smallest differences that a comparison can detect."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.power import TTestPower

from pipeline.evaluation.compare.crossed import FloatArray, crossed
from pipeline.evaluation.compare.statistics import ALPHA, NO_SPREAD, standard_error

# Fraction of comparisons that are to detect a true difference.
POWER = 0.8
# Probability of the numbers of discordant images that sums leave out.
NEGLIGIBLE = 1e-9


def smallest_detectable(differences: Sequence[float], *, train: float, test: float) -> float | None:
    """Return the smallest true mean difference that `corrected_t` detects in 80 % of such experiments.

    At 5 %, two-sided; the standard deviation of these n differences is taken for the true one.

    Args:
        differences: as for `corrected_t`.
        train: as for `interval`.
        test: as for `interval`.

    Returns:
        The difference, in the unit of `differences`; None if they have no spread.
    """
    values = np.asarray(differences, dtype=np.float64)
    error, n = standard_error(values, train=train, test=test), len(values)
    if error < NO_SPREAD * max(1.0, abs(float(values.mean()))):
        return None
    return _effect(n) * error


def smallest_detectable_crossed(gains: FloatArray) -> float | None:
    """Return the smallest true mean difference that `crossed.crossed_test` detects in about 80 % of such experiments.

    What the repeats' variance alone and the images' alone would need is added as squares, as the test adds half-widths.

    Args:
        gains: (n, m) as for `crossed.crossed_test`.

    Returns:
        The difference, in the unit of `gains`; None without any spread.
    """
    parts = crossed(gains)
    images, floor = _effect(parts.m) ** 2, _effect(parts.m) ** 2 * parts.of_images
    both = _effect(parts.n) ** 2 * parts.of_repeats + images * parts.of_images_alone
    return float(np.sqrt(max(both, floor))) or None


@cache
def _effect(n: int) -> float:
    """Return the mean, in standard errors, that a t test of n values detects in 80 % of experiments."""
    effect = TTestPower().solve_power(nobs=n, alpha=ALPHA, power=POWER, alternative="two-sided")
    return float(effect) * float(np.sqrt(n))


def smallest_detectable_on_one_part(discordant: int, images: int) -> float | None:
    """Return the smallest true difference of accuracies that exact McNemar detects in 80 % of test parts of this size.

    The fraction of images that only one of the two gets right is taken for the true one.

    Args:
        discordant: number of images that only one of the two gets right.
        images: number of images.

    Returns:
        The difference, 0..1; None if so few images are discordant that no difference is detectable.
    """
    share = discordant / images
    if share == 0 or _mcnemar_power(share, share, images) < POWER:
        return None
    return float(optimize.brentq(lambda gain: _mcnemar_power(gain, share, images) - POWER, 0, share))


def _mcnemar_power(gain: float, share: float, images: int) -> float:
    """Return the power of exact McNemar if `share` of the images are discordant and accuracies differ by `gain`.

    The number m of discordant images is Binomial(images, share); of these the better one has Binomial(m, p) right.
    """
    few, many = stats.binom.interval(1 - NEGLIGIBLE, images, share)
    m = np.arange(few, many + 1)
    k = stats.binom.ppf(ALPHA / 2, m, 0.5)
    most = np.where(stats.binom.cdf(k, m, 0.5) <= ALPHA / 2, k, k - 1)  # largest count of the rarer kind that rejects
    p = (share + gain) / (2 * share)
    rejected: Any = stats.binom.cdf(most, m, p) + stats.binom.sf(m - most - 1, m, p)
    return float((stats.binom.pmf(m, images, share) * rejected).sum())
