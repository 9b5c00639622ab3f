"""Intervals over independent test images, or groups of them, alone: of these very networks."""

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.compare import statistics, units
from pipeline.evaluation.compare.statistics import Interval

# Units from which on the percentile bootstrap covers as often as it says: with 3 to 8 it holds the true difference in
# 85 to 93 % of cases, in place of 95.
BOOTSTRAPPED = 40
# Of fewer units a spread tells next to nothing.
FEWEST_UNITS = 3


def difference(right_a: npt.ArrayLike, right_b: npt.ArrayLike, *, tested: npt.ArrayLike, seed: int) -> Interval | None:
    """Return the 95 % interval of the difference of two accuracies, over independent images or groups of images.

    From `BOOTSTRAPPED` units on it is `statistics.bootstrap_difference`; of fewer mean +- t sd / sqrt(G) of the ratio
    estimator's linearized values (see `units.by_unit`), with Satterthwaite's degrees of freedom, fewer if sizes differ.

    Args:
        right_a: (G,) how many predictions of each unit a gets right.
        right_b: (G,) the same for b.
        tested: (G,) how many predictions each unit has.
        seed: of the draws.

    Returns:
        The interval; of width 0 where all units differ alike, None for fewer than `FEWEST_UNITS`.
    """
    a, b, times = (np.asarray(each, dtype=np.float64) for each in (right_a, right_b, tested))
    number = len(times)
    if number < FEWEST_UNITS:
        return None
    if number >= BOOTSTRAPPED:
        return statistics.bootstrap_difference(a, b, tested=times, seed=seed)
    mean = float((a - b).sum() / times.sum())
    values = (a - b - mean * times) * (number / times.sum())
    degrees = max(units.effective_number(times), 2.0) - 1
    margin = float(statistics.critical_t(degrees) * statistics.standard_error(values, train=1, test=0))
    # Alike but for rounding.
    margin = 0.0 if margin < statistics.NO_SPREAD else margin
    return Interval(mean - margin, mean + margin)
