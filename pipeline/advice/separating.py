"""How many labeled images would tell the best candidate from those that it is tied with."""

import math

import numpy as np

from pipeline.advice import halving
from pipeline.advice.answer import Answer, by_rank, pair_of
from pipeline.advice.candidates import in_words
from pipeline.advice.recommendation import image_gains
from pipeline.evaluation.compare import power
from pipeline.evaluation.compare.experiments import ACCURACY, Experiment, Pair, draws_splits
from pipeline.evaluation.compare.pairs import over_repeats
from pipeline.evaluation.compare.statistics import ALPHA

# How many times as many images are looked at: for a difference of hardly any of them no number is worth a word.
MULTIPLES = tuple(2**doublings for doublings in range(7))
DROPPED = (
    "Those that were dropped had too few repeats to say; a larger `--trainings` or `--hours` gives them more of these."
)


def lines(answer: Answer) -> list[str]:
    """Return for each candidate that is tied with the best about how many labeled images would tell the two apart.

    One that was dropped after a few repeats has one line with all others of them.
    """
    ties = [name for name in by_rank(answer) if name in answer.advice.tied and name != answer.advice.best]
    dropped = [name for name in ties if answer.trials[name].round < answer.rounds]
    return [_line(answer, name) for name in ties if name not in dropped] + ([DROPPED] if dropped else [])


def _line(answer: Answer, name: str) -> str:
    advice, pair = answer.advice, pair_of(answer.advice, name)
    pairs = len(advice.compared.pairs)
    a, b = (answer.trials[one].result.experiment for one in (pair.a, pair.b))
    needed = images_to_separate(a, b, pair, images=answer.images, pairs=pairs)
    grouped = ", in groups as large as now," if any(trial.groups for trial in a.trials.values()) else ""
    number = f"not even {MULTIPLES[-1]} times as many images are known to tell the two apart"
    if needed:
        number = f"about {needed:,} labeled images{grouped} would tell the two apart"
    # More of them, of a larger budget, would take fewer images.
    number += f" in {len(pair.repeats)} repeats" if pair.test else ""
    line = f"{in_words(advice.best)} and {in_words(name)}: {100 * abs(pair.difference):.1f} points apart here"
    # Tied for the correction alone.
    if pair.p is not None and pair.holm is not None and pair.p < ALPHA <= pair.holm:
        line += f", enough for this pair alone and not among {pairs} pairs"
        return f"{line}; {number}" if needed else line
    return f"{line}; {number}"


def images_to_separate(a: Experiment, b: Experiment, pair: Pair, *, images: int, pairs: int) -> int | None:
    """Return about how many labeled images would tell two candidates apart, if they differ by what was seen.

    The test is the one that decides a tie, see `recommendation.recommend`: over the repeats of both, or for a single
    one McNemar's. The level is 5 % over the number of pairs, which is the most that Holm's method demands. With so many
    images, and as many repeats, 80 % of such comparisons detect the difference.

    Args:
        a: a candidate.
        b: another.
        pair: their comparison.
        images: how many are labeled now.
        pairs: how many pairs are compared.

    Returns:
        A number that is larger than `images`, to two digits; None where the two have the same accuracy, nothing is
        known of the spread, or `images` suffice.
    """
    if not round(pair.difference, halving.DIGITS):
        return None
    of_pair = _times_for_signs if pair.test is None else _times_for_repeats
    times = of_pair(a, b, pair, ALPHA / pairs)
    if times is None or not 1 < times <= MULTIPLES[-1]:
        return None
    needed = images * times
    digit = int(10 ** max(math.floor(math.log10(needed)) - 1, 0))
    return math.ceil(needed / digit) * digit


def _times_for_signs(a: Experiment, b: Experiment, pair: Pair, level: float) -> float | None:
    """Return how many times as many images the sign test over images needs; None where it sees no such difference."""
    signs = np.sign(image_gains(a, b))
    net = float(signs.mean()) * math.copysign(1, pair.difference)
    if net <= 0:
        return None
    discordant = int(np.count_nonzero(signs))
    for times in MULTIPLES:
        smallest = power.smallest_detectable_on_one_part(times * discordant, times * len(signs), alpha=level)
        if smallest is not None and smallest <= net:
            return float(times * (smallest / net) ** 2)
    return None


def _times_for_repeats(a: Experiment, b: Experiment, pair: Pair, level: float) -> float | None:
    """Return how many times as many images the test over repeats needs, whose error falls with the root of them."""
    of_a, of_b = ([one.trials[repeat] for repeat in pair.repeats] for one in (a, b))
    drawn = draws_splits(a) or draws_splits(b)
    smallest = over_repeats(of_a, of_b, ACCURACY, drawn=drawn, alpha=level)[1](len(of_a))
    return None if smallest is None else (smallest / pair.difference) ** 2
