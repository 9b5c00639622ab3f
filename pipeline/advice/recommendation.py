"""The recommendation: the cheapest candidate within one standard error of the best."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from pipeline.advice import halving
from pipeline.evaluation.compare import comparison, units
from pipeline.evaluation.compare.experiments import Comparison, Experiment


class Recommendation(NamedTuple):
    """The candidate to choose, and why.

    Attributes:
        name: of the recommended candidate.
        best: name of the candidate with the highest mean accuracy among those with the most repeats.
        close: names of all within one standard error of the best, the best first, then the cheaper ones first.
        tied: names of all that cannot be told from the best, the best first, then the cheaper ones first.
        compared: each candidate's accuracy, and all pairs with their verdicts, as `orbweaver compare` has them.
    """

    name: str
    best: str
    close: list[str]
    tied: list[str]
    compared: Comparison


def recommend(candidates: Sequence[Experiment], costs: Mapping[str, float]) -> Recommendation:
    """Choose among candidates that were tried on the same inner divisions.

    The recommended one is the cheapest within one standard error of the best (Breiman, Friedman, Olshen and Stone 1984,
    Classification and Regression Trees, section 3.4.3): the error of their difference over the images. That a
    difference is not significant is no reason to take the cheaper one: on few images hardly any is, and
    docs/advice-proof.md has what that rule costs.

    A candidate is tied with the best unless the verdict of `compare` on the pair is that the best is better, with
    Holm's method over all pairs. One that is not tied is never the recommended one.

    A candidate that was dropped has the first divisions alone, which may be easier than the others: it is compared
    with the best on these, and its own mean makes it no best.

    Args:
        candidates: each with the right and wrong answers of its repeats; at least one.
        costs: of each by its name, such as seconds of a training.

    Raises:
        InputError: where two have no repeat in common, or other images in it.
    """
    compared = comparison.compare(candidates, resample=False)
    means, by_name = {one.name: one.mean for one in compared.summaries}, {one.name: one for one in candidates}
    most = max(len(one.trials) for one in candidates)
    last = {one.name: means[one.name] for one in candidates if len(one.trials) == most}
    [best] = halving.better(last, costs, 1)
    worse = {one.b if one.a == best else one.a for one in compared.pairs if one.better == best}
    others = sorted(means.keys() - {best}, key=lambda name: (costs[name], -means[name], name))
    # Repeats that agree tell a candidate from the best that is within the error over images.
    close = [name for name in others if name not in worse and _is_close(by_name[best], by_name[name])]
    tied = [name for name in others if name not in worse]
    return Recommendation(min([best, *close], key=costs.__getitem__), best, [best, *close], [best, *tied], compared)


def _is_close(best: Experiment, other: Experiment) -> bool:
    """Return whether a candidate is at most one standard error of their difference below the best."""
    gains: list[float] = image_gains(best, other).tolist()
    if len(gains) < 2:
        return fmean(gains) <= 0
    return fmean(gains) <= stdev(gains) / math.sqrt(len(gains))


def image_gains(a: Experiment, b: Experiment) -> units.FloatArray:
    """Return by how much a is more often right than b, (n,) a number for each test image, over their common repeats.

    Where the user named groups of images, each is one number, and the mean is still that over the images.
    """
    gains: dict[str, list[int]] = {}
    groups: dict[str, str] = {}
    for number in sorted(a.trials.keys() & b.trials.keys()):
        groups |= a.trials[number].groups
        for image, right in a.trials[number].right.items():
            gains.setdefault(image, []).append(right - b.trials[number].right[image])
    by_image = np.array([fmean(values) for values in gains.values()])
    if not groups:
        return by_image
    unit = units.units(list(gains), groups)
    # Rounded, so that gains and losses of a group that are equal leave nothing.
    total = np.round(units.sums(by_image, unit), halving.DIGITS)
    mean: units.FloatArray = total * ((unit.max() + 1) / len(unit))
    return mean
