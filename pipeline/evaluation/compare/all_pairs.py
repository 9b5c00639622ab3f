"""The p values of all pairs of many experiments at once, and Holm's of them all.

A thousand experiments make half a million pairs, of which a reader looks at few; but which these are follows from the
results, so that Holm's method is over all. `pairs.pair` takes milliseconds for one. Whether an image is predicted right
is 0 or 1, so that all sums of differences follow from products of the experiments' own answers, without rounding.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.compare import mcnemar, statistics, units
from pipeline.evaluation.compare.crossed import Crossed, FloatArray, p_values
from pipeline.evaluation.compare.experiments import ACCURACY, Experiment, answers, by_image, part_sizes

Places = npt.NDArray[np.intp]


class Family(NamedTuple):
    """All pairs of n experiments.

    Attributes:
        places: the place of each experiment, by its name.
        holm: (n, n) p of each pair adjusted by Holm's method for all of them; NaN where a pair has none.
    """

    places: Mapping[str, int]
    holm: FloatArray

    def of(self, a: str, b: str) -> float | None:
        """Return Holm's p of a pair; None where it has none."""
        p = float(self.holm[self.places[a], self.places[b]])
        return None if np.isnan(p) else p

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return len(self.places) * (len(self.places) - 1) // 2


def adjusted(names: Sequence[str], p: FloatArray) -> Family:
    """Return Holm's p of all pairs.

    Args:
        names: of n experiments.
        p: of each pair, in the order of `itertools.combinations`; NaN where a pair has none.
    """
    known = ~np.isnan(p)
    values = np.full(len(p), np.nan)
    values[known] = statistics.holm(p[known])
    holm, upper = np.full((len(names), len(names)), np.nan), np.triu_indices(len(names), 1)
    holm[upper] = holm.T[upper] = values
    return Family({name: place for place, name in enumerate(names)}, holm)


def family(experiments: Sequence[Experiment], metric: str, *, drawn: bool) -> Family:
    """Return Holm's p of all pairs of experiments, which were tested on the same images.

    Args:
        experiments: with different names; each two have a repeat in common.
        metric: the score.
        drawn: whether repeats test different images.
    """
    upper = np.triu_indices(len(experiments), 1)
    p = np.full(len(upper[0]), np.nan)
    for repeats, chosen in _by_common_repeats(experiments, upper):
        p[chosen] = _p(experiments, repeats, (upper[0][chosen], upper[1][chosen]), metric, drawn=drawn)
    return adjusted([one.name for one in experiments], p)


def _by_common_repeats(
    experiments: Sequence[Experiment], upper: tuple[Places, Places]
) -> Iterator[tuple[list[int], npt.NDArray[np.bool_]]]:
    """Yield the repeats that experiments have in common, with the pairs of which these are the common ones."""
    numbers = {repeats: number for number, repeats in enumerate({frozenset(one.trials): None for one in experiments})}
    kinds = np.array([numbers[frozenset(one.trials)] for one in experiments])
    low, high = np.minimum(kinds[upper[0]], kinds[upper[1]]), np.maximum(kinds[upper[0]], kinds[upper[1]])
    for one, other in combinations_with_replacement(numbers, 2):
        chosen = (low == numbers[one]) & (high == numbers[other])
        if chosen.any():
            yield sorted(one & other), chosen


def _p(
    experiments: Sequence[Experiment], repeats: Sequence[int], pairs: tuple[Places, Places], metric: str, *, drawn: bool
) -> FloatArray:
    """Return p of the pairs, by the test that `pairs.pair` takes for each; NaN where there is none.

    Args:
        experiments: all.
        repeats: that both experiments of each pair have.
        pairs: places of the first and of the second experiment of each pair.
        metric: the score.
        drawn: whether repeats test different images.
    """
    used = np.unique(pairs)
    trials = [[experiments[place].trials[repeat] for repeat in repeats] for place in used]
    first, second = (np.searchsorted(used, places) for places in pairs)
    if metric == ACCURACY and len(repeats) == 1 and trials[0][0].groups:
        right, unit = np.array([by_image(each)[0] for each in trials]), trials[0][0].units
        gains = (units.sums(right[one] - right[other], unit) for one, other in zip(first, second, strict=True))
        return np.array([units.exchange_p(each) for each in gains])
    if metric == ACCURACY and len(repeats) == 1:
        only = _only(np.array([answers(each)[0] for each in trials]))
        return mcnemar.p_values(only[first, second], only[second, first])
    if len(repeats) == 1:
        return np.full(len(first), np.nan)
    if metric == ACCURACY and not drawn and trials[0][0].unit_count > 1:
        table = np.array([answers(each) for each in trials])
        return p_values(_crossed(table, first, second, effective=trials[0][0].effective_groups))
    scores = np.array([[one.score(metric) for one in each] for each in trials])
    parts = [part_sizes(each, drawn=drawn) for each in trials]
    train, test = (np.array([one[name] for one in parts]) for name in ("train", "test"))
    train, test = ((sizes[first] + sizes[second]) / 2 for sizes in (train, test))
    return statistics.t_p_values(scores[first] - scores[second], train=train, test=test)


def _only(right: FloatArray) -> FloatArray:
    """Return (n, n) how many of the images each experiment alone gets right, and another does not.

    Args:
        right: (n, m) whether each experiment gets each of m images right.
    """
    both = right @ right.T
    return both.diagonal()[:, None] - both


def _crossed(right: FloatArray, first: Places, second: Places, *, effective: float) -> Crossed:
    """Return what `crossed.crossed` does of the differences of each pair.

    Args:
        right: (experiments, n, m) as `answers` has it of each.
        first: (pairs,) the first experiment of each.
        second: (pairs,) the second.
        effective: as for `crossed.crossed`.
    """
    _, n, m = right.shape

    def squares(values: FloatArray) -> FloatArray:
        """Return the sum of squares of each pair's difference; values are (experiments, ...)."""
        products = values.reshape(len(values), -1) @ values.reshape(len(values), -1).T
        own = products.diagonal()
        return own[first] + own[second] - 2 * products[first, second]

    cells, images, repeats = squares(right), squares(right.sum(1)), squares(right.sum(2))
    totals = right.sum((1, 2))
    total = totals[first] - totals[second]
    every, squared = (n * m) ** 2, total**2
    return Crossed(
        mean=total / (n * m),
        of_repeats=(n * repeats - squared) / (every * (n - 1)),
        of_images=(m * images - squared) / (every * (m - 1)),
        residual=(n * m * cells - n * repeats - m * images + squared) / (every * (n - 1) * (m - 1)),
        n=n,
        m=m,
        effective=max(effective, 2.0),
    )
