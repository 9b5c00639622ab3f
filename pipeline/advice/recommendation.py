"""The recommendation: the cheapest of the candidates that cannot be told from the best."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.evaluation.compare import comparison
from pipeline.evaluation.compare.experiments import Comparison, Experiment, Pair
from pipeline.evaluation.compare.statistics import ALPHA


class Recommendation(NamedTuple):
    """The candidate to choose, and why.

    Attributes:
        name: of the recommended candidate.
        best: name of the candidate with the highest mean accuracy.
        tied: names of all that cannot be told from the best, the best first, then the cheaper ones first.
        compared: each candidate's accuracy, and all pairs; Holm's correction is over all of them.
    """

    name: str
    best: str
    tied: list[str]
    compared: Comparison


def recommend(candidates: Sequence[Experiment], costs: Mapping[str, float]) -> Recommendation:
    """Choose among candidates that were tried on the same inner divisions.

    A candidate is tied with the best unless the test of the pair rejects at 5 % after Holm's correction; where a single
    repeat leaves no test, McNemar's of its images is that test.

    Args:
        candidates: each with the right and wrong answers of its repeats; at least one.
        costs: of each by its name, such as seconds of a training.

    Raises:
        InputError: where two have no repeat in common, or other images in it.
    """
    compared = comparison.compare(candidates, resample=False)
    means = {one.name: one.mean for one in compared.summaries}
    best = min(means, key=lambda name: (-means[name], costs[name]))
    worse = {one.b if one.a == best else one.a for one in compared.pairs if best in (one.a, one.b) and _rejects(one)}
    tied = sorted((name for name in means if name not in {best, *worse}), key=lambda name: (costs[name], -means[name]))
    return Recommendation(min([best, *tied], key=costs.__getitem__), best, [best, *tied], compared)


def _rejects(one: Pair) -> bool:
    return one.holm is not None and one.holm < ALPHA


def images_to_separate(one: Pair, images: int) -> int | None:
    """Return about how many labeled images would tell two candidates apart, if they differ by what was seen.

    The spread of a difference of accuracies falls with the root of the number of images. With `smallest`, the
    difference that 80 % of such comparisons detect, this takes `images * (smallest / difference)^2`.

    Args:
        one: the pair.
        images: how many are labeled now.

    Returns:
        A number that is larger than `images`, to two digits; None where the two have the same accuracy, nothing is
        known of the spread, or `images` suffice.
    """
    if not one.difference or one.smallest is None or one.smallest <= abs(one.difference):
        return None
    needed = images * (one.smallest / abs(one.difference)) ** 2
    digit = int(10 ** max(math.floor(math.log10(needed)) - 1, 0))
    return math.ceil(needed / digit) * digit
