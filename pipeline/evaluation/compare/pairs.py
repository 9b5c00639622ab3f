"""The difference of two experiments on the same test images, its tests, and the verdict in words."""

from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np

from pipeline.evaluation.compare import over_units, power, statistics, units
from pipeline.evaluation.compare.all_pairs import Family
from pipeline.evaluation.compare.crossed import CrossedTest, crossed_test
from pipeline.evaluation.compare.experiments import ACCURACY, Experiment, Pair, Trial, answers, part_sizes
from pipeline.evaluation.compare.mcnemar import McNemar, exact
from pipeline.evaluation.compare.statistics import Interval, TTest
from pipeline.evaluation.scores import SCORES

NO_DIFFERENCE = "no detectable difference"
EQUAL = "the same difference in every repeat, so no spread to test with; add repeats"
# Seed of the bootstrap: the same files give the same interval.
SEED = 0
# Why a single repeat has no interval over its test images, by the number of their groups; 0 for images without any.
_NO_INTERVAL = {0: "so few images do not tell", 1: "one group does not tell", 2: "two groups do not tell"}
# The test of one repeat's images: of single images, and of groups that the user named.
_TESTS = ("McNemar's test", "the exchange test of groups")


def pair(a: Experiment, b: Experiment, metric: str, *, drawn: bool, resample: bool, of: int = 1) -> Pair:
    """Return the difference of two experiments over their common repeats, of which there is one at least.

    Args:
        a: the first.
        b: the second, with the same test images in each common repeat.
        metric: the score.
        drawn: whether repeats test different images.
        resample: whether several repeats get an interval over images alone too.
        of: number of pairs that are compared. What is detectable is so at the first step of Holm's method, its
            strictest: alpha / `of`.

    Returns:
        The pair, without Holm's p and a verdict.
    """
    repeats = tuple(sorted(a.trials.keys() & b.trials.keys()))
    of_a, of_b = ([one.trials[repeat] for repeat in repeats] for one in (a, b))
    tested = {r: mcnemar(one, other) for r, one, other in zip(repeats, of_a, of_b, strict=True)}
    tested = tested if metric == ACCURACY else {}
    differences = [one.score(metric) - other.score(metric) for one, other in zip(of_a, of_b, strict=True)]
    alpha, is_priced = statistics.ALPHA / of, len(repeats) > 1 and SCORES[metric].percent
    test, smallest_of = over_repeats(of_a, of_b, metric, drawn=drawn, alpha=alpha)
    smallest = smallest_of(len(repeats)) if test else _smallest_on_one_part(tested, of_a[0], alpha)
    if smallest is not None and smallest > SCORES[metric].highest:
        # No two accuracies are further apart than 100 points.
        smallest = None
    # A single repeat has McNemar's p alone.
    p = test.p if test else next((one.p for one in tested.values()), None)
    return Pair(
        a=a.name,
        b=b.name,
        repeats=repeats,
        difference=fmean(differences),
        test=test,
        p=p,
        holm=None,
        mcnemar=tested,
        over_units=_over_units(of_a, of_b) if metric == ACCURACY and (resample or not test) else None,
        smallest=smallest,
        repeats_needed=power.repeats_for(power.ASKED, smallest_of) if is_priced else None,
        repeats_suffice=not is_priced or power.some_repeats_suffice(power.ASKED, smallest_of),
        better=None,
        verdict="",
    )


def over_repeats(
    of_a: Sequence[Trial], of_b: Sequence[Trial], metric: str, *, drawn: bool, alpha: float = statistics.ALPHA
) -> tuple[TTest | CrossedTest | None, Callable[[int], float | None]]:
    """Return the test of the difference over the repeats, and the smallest that so many of them detect.

    For one repeat there is no test, and nothing to tell the smallest from.

    Args:
        of_a: the first's trials.
        of_b: the second's, of the same repeats.
        metric: the score.
        drawn: whether repeats test different images.
        alpha: the p below which a difference is detected.
    """
    if len(of_a) < 2:
        return None, lambda _: None
    if metric == ACCURACY and not drawn and of_a[0].unit_count > 1:
        gains, effective = answers(of_a) - answers(of_b), of_a[0].effective_groups
        crossed = crossed_test(gains, effective=effective)
        return crossed, lambda n: power.smallest_detectable_crossed(gains, repeats=n, effective=effective, alpha=alpha)
    differences = [one.score(metric) - other.score(metric) for one, other in zip(of_a, of_b, strict=True)]
    parts = part_sizes([*of_a, *of_b], drawn=drawn)
    test = statistics.corrected_t(differences, **parts)
    return test, lambda n: power.smallest_detectable(differences, **parts, repeats=n, alpha=alpha)


def _smallest_on_one_part(tested: dict[int, McNemar], trial: Trial, alpha: float) -> float | None:
    for one in tested.values():
        # As many independent images as the groups are worth, of which the same fraction is discordant.
        discordant = (one.only_a + one.only_b) * trial.worth / len(trial.right)
        return power.smallest_detectable_on_one_part(round(discordant), round(trial.worth), alpha=alpha)
    return None


def mcnemar(a: Trial, b: Trial) -> McNemar:
    """Return McNemar's exact test on the images of one repeat; named groups count as a whole."""
    order = sorted(a.right)
    right_a, right_b = ([trial.right[path] for path in order] for trial in (a, b))
    return exact(right_a, right_b, a.units if a.groups else None)


def _over_units(of_a: Sequence[Trial], of_b: Sequence[Trial]) -> Interval | None:
    """Return the interval of the difference of accuracies over images or named groups; None for one or two of them."""
    every = sorted({path for trial in of_a for path in trial.right})
    groups = {path: group for trial in of_a for path, group in trial.groups.items()}
    number = dict(zip(every, units.units(every, groups).tolist(), strict=True))
    # Counts (n,) per unit over the repeats: an image is drawn with all repeats that test it.
    right_a, right_b, tested = np.zeros((3, max(number.values()) + 1))
    for a, b in zip(of_a, of_b, strict=True):
        for path in a.right:
            row = number[path]
            right_a[row] += a.right[path]
            right_b[row] += b.right[path]
            tested[row] += 1
    return over_units.difference(right_a, right_b, tested=tested, seed=SEED)


def judged(compared: Sequence[Pair], every: Family, metric: str, *, drawn: bool) -> list[Pair]:
    """Return pairs with verdicts, and with p values by Holm's method for all pairs together.

    Which of the pairs a reader looks at may then depend on the results, such as the best against the others: the
    probability of a wrong "is better" anywhere stays below 5 %.

    Args:
        compared: some pairs, or all.
        every: all of them.
        metric: the score.
        drawn: whether repeats test different images.
    """
    corrected = [one._replace(holm=every.of(one.a, one.b)) for one in compared]
    decided = [one._replace(better=_better(one, metric)) for one in corrected]
    return [one._replace(verdict=_verdict(one, of=every.pairs, drawn=drawn)) for one in decided]


def _better(one: Pair, metric: str) -> str | None:
    interval = one.interval()
    if interval is None or interval.covers_zero() or (one.holm is not None and one.holm > statistics.ALPHA):
        return None
    return one.a if (one.difference > 0) != SCORES[metric].lower_is_better else one.b


def _verdict(one: Pair, *, of: int, drawn: bool) -> str:
    interval = one.interval()
    if interval is None:
        tested = next(iter(one.mcnemar.values()), None)
        return _NO_INTERVAL[tested.groups] if tested else "one repeat does not tell"
    if one.untested and abs(one.difference) > statistics.NO_SPREAD:
        return EQUAL
    if one.better is None:
        return NO_DIFFERENCE if interval.covers_zero() or of == 1 else f"{NO_DIFFERENCE} among {of} pairs"
    if one.test is None:
        return f"{one.better}'s network is better; other seeds are not tried"
    if isinstance(one.test, TTest) and not drawn:
        return f"{one.better} is better on these test images"
    return f"{one.better} is better"


def reading(one: Pair) -> str | None:
    """Return how to read a verdict from which the tests of single repeats' images seem to differ; None if none does.

    The verdict is about methods, over other seeds and images; McNemar's test and the interval over images are about
    these very networks, so that both can be right.
    """
    if not one.mcnemar:
        return None
    if one.test is None:
        return _reading_of_one_repeat(one)
    told = [repeat for repeat, tested in one.mcnemar.items() if tested.p < statistics.ALPHA]
    grouped = any(tested.groups for tested in one.mcnemar.values())
    resampled = one.over_units is not None and not one.over_units.covers_zero()
    if one.better and not told:
        return (
            f"{one.a} - {one.b}: no repeat's test images tell its two networks apart ({_TESTS[grouped]}: p >= "
            f"{statistics.ALPHA} in each), but the repeats agree, and together they are the evidence: go by the "
            "verdict."
        )
    if one.better or not (told or resampled):
        return None
    tests = [
        *([f"{_TESTS[grouped]} in {len(told)} of {len(one.mcnemar)} repeats"] if told else []),
        *([f"the interval over {'groups' if grouped else 'images'}"] if resampled else []),
    ]
    finds = "find" if len(tests) > 1 else "finds"
    return (
        f"{one.a} - {one.b}: {' and '.join(tests)} {finds} a difference of these very networks, which other seeds"
        " may not repeat: to choose a method go by the verdict, to choose between these networks by those tests."
    )


def _reading_of_one_repeat(one: Pair) -> str | None:
    """Return which of a single repeat's interval and test finds a difference; None if both or neither does."""
    [tested] = one.mcnemar.values()
    if one.over_units is None or one.over_units.covers_zero() == (tested.p >= statistics.ALPHA):
        return None
    units_of = "groups" if tested.groups else "images"
    if one.over_units.covers_zero():
        finding = f"{_TESTS[bool(tested.groups)]} finds a difference, and the interval contains 0"
    else:
        finding = f"the interval excludes 0, and {_TESTS[bool(tested.groups)]} finds no difference"
    return f"{one.a} - {one.b}: {finding}: so few {units_of} do not tell for certain, and the verdict asks for both."
