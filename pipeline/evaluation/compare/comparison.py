"""Comparison of experiments on the same test images, from the prediction of each image; reads no file."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.core.records import MachineRecord
from pipeline.evaluation.compare import all_pairs, common_groups, machines, pairs, statistics
from pipeline.evaluation.compare.all_pairs import Family
from pipeline.evaluation.compare.crossed import crossed_interval
from pipeline.evaluation.compare.experiments import (
    ACCURACY,
    Comparison,
    Experiment,
    Pair,
    Summary,
    answers,
    draws_splits,
    part_sizes,
)
from pipeline.evaluation.compare.statistics import Interval
from pipeline.evaluation.scores import SCORES

SPLITS = (
    "Every repeat draws a new split: intervals and t tests are over splits and seeds, with Nadeau and Bengio's "
    "correction for training parts that overlap."
)
# What intervals over test images, and intervals over splits or seeds, have to do with groups of images.
GROUPED = " Test images of a group that metadata.csv names count together, as one."
DIVIDED = " A group that metadata.csv names is on one side of a split, and counts as one in tests on a repeat's images."
# Beside others of several repeats.
SINGLE = " Those of a single repeat are over its test images alone."
ONE = "There is a single repeat: intervals are over test images, of these trained networks; other seeds are not tried."


def compare(experiments: Sequence[Experiment], metric: str = ACCURACY, *, resample: bool = True) -> Comparison:
    """Compare experiments that were tested on the same images.

    Args:
        experiments: one or more, with different names.
        metric: accuracy, or a score that every trial has.
        resample: whether pairs of several repeats get an interval over images alone too, which takes seconds a pair for
            thousands of images.

    Raises:
        InputError: a repeat's test images are not the same in all that have it, two experiments have no repeat in
            common, or a trial lacks the score.
    """
    check(experiments, metric)
    experiments = common_groups.applied(experiments)
    drawn = any(map(draws_splits, experiments))
    couples = list(combinations(experiments, 2))
    compared = [pairs.pair(a, b, metric, drawn=drawn, resample=resample, of=len(couples)) for a, b in couples]
    p = np.array([np.nan if one.p is None else one.p for one in compared])
    every = all_pairs.adjusted([one.name for one in experiments], p)
    return Comparison(
        metric=metric,
        over=over(experiments, metric),
        summaries=[summary(one, metric) for one in experiments],
        pairs=pairs.judged(compared, every, metric, drawn=drawn),
        differing=differing(experiments),
        machines=machines.differing({one.name: _machines(one) for one in experiments}),
    )


def compare_some(experiments: Sequence[Experiment], wanted: Iterable[tuple[str, str]]) -> tuple[list[Pair], Family]:
    """Return the differences of accuracy of some pairs of many experiments, as `compare` has them, and Holm's p of all.

    Args:
        experiments: two or more, with different names.
        wanted: names of the pairs.

    Raises:
        InputError: as `compare` does.
    """
    check(experiments)
    experiments = common_groups.applied(experiments)
    drawn, by_name = any(map(draws_splits, experiments)), {one.name: one for one in experiments}
    every = all_pairs.family(experiments, ACCURACY, drawn=drawn)
    compared = [
        pairs.pair(by_name[a], by_name[b], ACCURACY, drawn=drawn, resample=False, of=every.pairs) for a, b in wanted
    ]
    return pairs.judged(compared, every, ACCURACY, drawn=drawn), every


def is_better(a: Experiment, b: Experiment, every: Family) -> bool:
    """Return whether the verdict on a pair's accuracy over several repeats is that the first is better."""
    common, p = a.trials.keys() & b.trials.keys(), every.of(a.name, b.name)
    if len(common) < 2 or p is None or p > statistics.ALPHA:
        return False
    return sum(a.trials[one].score(ACCURACY) - b.trials[one].score(ACCURACY) for one in common) > 0


def check(experiments: Sequence[Experiment], metric: str = ACCURACY) -> None:
    """Raise for experiments that cannot be compared.

    Raises:
        InputError: names the first repeat, score or image that differs.
    """
    for one in experiments:
        for repeat, trial in one.trials.items():
            if metric != ACCURACY and metric not in trial.scores:
                known = ", ".join(dict.fromkeys([ACCURACY, *trial.scores]))
                raise InputError(f"{one.name}: repeat {repeat} has no score {metric!r}; it has {known}")
    # Two that tested the same have nothing to be checked, and of many most are such.
    different: dict[tuple[Any, ...], Experiment] = {}
    for one in experiments:
        different.setdefault(_tested(one), one)
    for a, b in combinations(different.values(), 2):
        if not (common := sorted(a.trials.keys() & b.trials.keys())):
            raise InputError(
                f"{a.name} and {b.name}: have no repeat in common ({_numbers(a)}; {_numbers(b)}); give both the same"
            )
        for repeat in common:
            _check_images(a, b, repeat)


def _tested(one: Experiment) -> tuple[Any, ...]:
    """Return what an experiment tested: equal for two that can be compared in any case."""
    repeats = frozenset((repeat, frozenset(trial.right)) for repeat, trial in one.trials.items())
    return repeats, frozenset(one.images.items())


def _numbers(one: Experiment) -> str:
    return ", ".join(map(str, sorted(one.trials)))


def _check_images(a: Experiment, b: Experiment, repeat: int) -> None:
    of_a, of_b = a.trials[repeat].right, b.trials[repeat].right
    out = "only what is tested on the same images can be compared: give both the same data, split and repeats"
    if only := sorted(of_a.keys() ^ of_b.keys()):
        one, other = (a, b) if only[0] in of_a else (b, a)
        raise InputError(f"repeat {repeat}: {only[0]!r} is tested by {one.name} and not by {other.name}; {out}")
    if not (a.images and b.images):
        return
    for path in sorted(of_a):
        if a.images[path] != b.images[path]:
            raise InputError(
                f"repeat {repeat}: {path!r} is another image, or of another class, in {a.name} than in {b.name}; {out}"
            )


def over(experiments: Sequence[Experiment], metric: str = ACCURACY) -> str:
    """Return in a sentence what the intervals and tests are of, and in others which repeats and how groups count."""
    said = _over(experiments, metric) + _common(experiments)
    if all(not trial.groups for one in experiments for trial in one.trials.values()):
        return said
    return said + grouping(experiments, metric)


def _common(experiments: Sequence[Experiment]) -> str:
    """Return in a sentence which repeats a difference is over where not all experiments have the same; "" elsewhere."""
    kinds = {frozenset(one.trials) for one in experiments}
    if len(kinds) < 2:
        return ""
    # Where pairs have other repeats in common, their tables have them.
    common = {one & other for one, other in combinations(kinds, 2)}
    numbers = ": " + ", ".join(map(str, sorted(common.pop()))) if len(common) == 1 else ""
    return f" Where repeats differ, differences are over those that both have{numbers}."


def grouping(experiments: Sequence[Experiment], metric: str = ACCURACY) -> str:
    """Return in a sentence how named groups of images count in the intervals."""
    several = any(len(one.trials) > 1 for one in experiments)
    if metric != ACCURACY or (several and any(map(draws_splits, experiments))):
        return DIVIDED
    return GROUPED


def _over(experiments: Sequence[Experiment], metric: str) -> str:
    if all(len(one.trials) == 1 for one in experiments):
        return ONE
    single = SINGLE if metric == ACCURACY and any(len(one.trials) == 1 for one in experiments) else ""
    if any(map(draws_splits, experiments)):
        return SPLITS + single
    redraws = any(one.redraws for one in experiments)
    each = ", and each draws its own training images" if redraws else ""
    varies = "draws of training images, seeds" if redraws else "seeds"
    tests = "tests are" if metric == ACCURACY else "t tests are"
    images = " and test images at once" if metric == ACCURACY else ", on these very images"
    return f"All repeats have the same test images{each}: intervals and {tests} over {varies}{images}.{single}"


def summary(one: Experiment, metric: str = ACCURACY) -> Summary:
    """Return one experiment's mean score over its repeats, with its interval.

    The interval is corrected where splits are drawn. Where the test part stays the same, that of the accuracy is over
    repeats and images at once, of other scores over repeats; of a single repeat the accuracy has Wilson's. Its ends are
    clipped to the range of the score (0 to 1; NLL 0 to infinity), which the t distribution does not know. Intervals of
    differences are clipped where they are printed.
    """
    trials = list(one.trials.values())
    values = [trial.score(metric) for trial in trials]
    seconds = [trial.seconds for trial in trials if trial.seconds is not None]
    interval = _interval(one, values, metric)
    return Summary(
        name=one.name,
        n=len(values),
        mean=fmean(values),
        sd=stdev(values) if len(values) > 1 else None,
        interval=_clipped(interval, metric) if interval else None,
        seconds=fmean(seconds) if seconds else None,
        parameters=one.parameters,
    )


def _interval(one: Experiment, values: Sequence[float], metric: str) -> Interval | None:
    trials, drawn = list(one.trials.values()), draws_splits(one)
    if metric == ACCURACY and len(values) == 1:
        right = trials[0].right
        return statistics.wilson(sum(right.values()), len(right), worth=trials[0].worth)
    if metric == ACCURACY and not drawn:
        return crossed_interval(answers(trials), worth=trials[0].worth)
    # Equal values have no spread: an interval of width 0 would claim more than so few repeats can.
    if len(values) == 1 or np.allclose(values, values[0], rtol=statistics.NO_SPREAD, atol=0):
        return None
    return statistics.interval(values, **part_sizes(trials, drawn=drawn))


def _clipped(interval: Interval, metric: str) -> Interval:
    return Interval(max(interval.low, 0.0), min(interval.high, SCORES[metric].highest))


def differing(experiments: Sequence[Experiment]) -> dict[str, list[Any]]:
    """Return the settings that differ between experiments, with the value of each experiment.

    >>> one = Experiment("a", {}, settings={"lr": 0.1, "head": "linear"})
    >>> differing([one, one._replace(name="b", settings={"lr": 0.2, "head": "linear"})])
    {'lr': [0.1, 0.2]}
    """
    return {name: values for name, values in _values(experiments) if any(value != values[0] for value in values)}


def _machines(one: Experiment) -> list[MachineRecord]:
    return [trial.machine for trial in one.trials.values() if trial.machine]


def _values(experiments: Sequence[Experiment]) -> Iterator[tuple[str, list[Any]]]:
    for name in dict.fromkeys(name for one in experiments for name in one.settings):
        yield name, [one.settings.get(name) for one in experiments]
