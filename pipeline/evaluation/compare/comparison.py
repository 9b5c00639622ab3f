"""Comparison of experiments on the same test images, from the prediction of each image; reads no file."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.evaluation.compare import power, statistics
from pipeline.evaluation.compare.experiments import ACCURACY, Comparison, Experiment, Pair, Summary, Trial
from pipeline.evaluation.compare.statistics import Interval, McNemar
from pipeline.evaluation.scores import SCORES

__all__ = ["ACCURACY", "Comparison", "Experiment", "Pair", "Summary", "Trial"]

NO_DIFFERENCE = "no detectable difference"
# Seed of the bootstrap: the same files give the same interval.
SEED = 0
SPLITS = (
    "Every repeat draws a new split: intervals and t tests are over splits and seeds, with Nadeau and Bengio's "
    "correction for training parts that overlap."
)
SEEDS = (
    "All repeats have the same test images: intervals and t tests are over seeds, on these very images; "
    "McNemar's test and the bootstrap say what other images would change."
)
ONE = "There is a single repeat: intervals are over test images, of these trained networks; other seeds are not tried."


def compare(experiments: Sequence[Experiment], metric: str = ACCURACY) -> Comparison:
    """Compare experiments that were tested on the same images.

    Args:
        experiments: one or more, with different names.
        metric: accuracy, or a score that every trial has.

    Raises:
        InputError: a repeat's test images are not the same in all that have it, two experiments have no repeat in
            common, or a trial lacks the score.
    """
    check(experiments, metric)
    drawn = {one.name: draws_splits(one) for one in experiments}
    pairs = [_pair(a, b, metric, drawn=drawn[a.name]) for a, b in combinations(experiments, 2)]
    return Comparison(
        metric=metric,
        over=_over(experiments),
        summaries=[summary(one, metric) for one in experiments],
        pairs=_judged(pairs, metric),
        differing=differing(experiments),
    )


def check(experiments: Sequence[Experiment], metric: str = ACCURACY) -> None:
    """Raise for experiments that cannot be compared.

    Raises:
        InputError: names the first repeat, score or image that differs.
    """
    for one in experiments:
        for repeat, trial in one.trials.items():
            if metric != ACCURACY and metric not in trial.scores:
                known = ", ".join([ACCURACY, *trial.scores])
                raise InputError(f"{one.name}: repeat {repeat} has no score {metric!r}; it has {known}")
    for a, b in combinations(experiments, 2):
        if not (common := sorted(a.trials.keys() & b.trials.keys())):
            raise InputError(
                f"{a.name} and {b.name}: have no repeat in common ({_numbers(a)}; {_numbers(b)}); give both the same"
            )
        for repeat in common:
            _check_images(a, b, repeat)


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


def draws_splits(one: Experiment) -> bool:
    """Return whether the repeats of an experiment test different images."""
    first, *others = one.trials.values()
    return any(trial.right.keys() != first.right.keys() for trial in others)


def _over(experiments: Sequence[Experiment]) -> str:
    if all(len(one.trials) == 1 for one in experiments):
        return ONE
    return SPLITS if any(map(draws_splits, experiments)) else SEEDS


def summary(one: Experiment, metric: str = ACCURACY) -> Summary:
    """Return one experiment's mean score over its repeats, with its interval.

    The interval is corrected where splits are drawn, plain where the test part stays the same, and Wilson's for the
    accuracy of a single repeat. Its ends are clipped to the range of the score (0 to 1; NLL 0 to infinity), which the
    t distribution does not know. Intervals of differences are not clipped.
    """
    trials = list(one.trials.values())
    values = [trial.score(metric) for trial in trials]
    seconds = [trial.seconds for trial in trials if trial.seconds is not None]
    interval = None
    # Equal values have no spread: an interval of width 0 would claim more than so few repeats can.
    if len(values) > 1 and not np.allclose(values, values[0], rtol=statistics.NO_SPREAD, atol=0):
        interval = statistics.interval(values, **_parts(trials, drawn=draws_splits(one)))
    elif len(values) == 1 and metric == ACCURACY:
        interval = statistics.wilson(sum(trials[0].right.values()), len(trials[0].right))
    return Summary(
        name=one.name,
        n=len(values),
        mean=fmean(values),
        sd=stdev(values) if len(values) > 1 else None,
        interval=_clipped(interval, metric) if interval else None,
        seconds=fmean(seconds) if seconds else None,
        parameters=one.parameters,
    )


def _clipped(interval: Interval, metric: str) -> Interval:
    return Interval(max(interval.low, 0.0), min(interval.high, SCORES[metric].highest))


def _parts(trials: Sequence[Trial], *, drawn: bool) -> dict[str, float]:
    """Return the mean sizes of the parts as arguments of `statistics`; `test` is 0 where nothing is to be corrected."""
    test = fmean(len(trial.right) for trial in trials) if drawn else 0
    return {"train": fmean(trial.train for trial in trials), "test": test}


def _pair(a: Experiment, b: Experiment, metric: str, *, drawn: bool) -> Pair:
    repeats = tuple(sorted(a.trials.keys() & b.trials.keys()))
    of_a, of_b = ([one.trials[repeat] for repeat in repeats] for one in (a, b))
    differences = [one.score(metric) - other.score(metric) for one, other in zip(of_a, of_b, strict=True)]
    parts = _parts([*of_a, *of_b], drawn=drawn)
    test = statistics.corrected_t(differences, **parts) if len(repeats) > 1 else None
    tested = {r: mcnemar(one, other) for r, one, other in zip(repeats, of_a, of_b, strict=True)}
    tested = tested if metric == ACCURACY else {}
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
        bootstrap=bootstrap(of_a, of_b) if metric == ACCURACY else None,
        smallest=_smallest(differences, parts, tested, images=len(of_a[0].right)),
        verdict="",
    )


def mcnemar(a: Trial, b: Trial) -> McNemar:
    """Return McNemar's exact test on the images of one repeat."""
    return statistics.mcnemar(list(a.right.values()), [b.right[path] for path in a.right])


def bootstrap(of_a: Sequence[Trial], of_b: Sequence[Trial]) -> Interval | None:
    """Return the bootstrap interval, over images, of the difference of accuracies; None for fewer than two images."""
    number = {path: row for row, path in enumerate(sorted({path for trial in of_a for path in trial.right}))}
    if len(number) < 2:
        return None
    # Counts (n,) per image over the repeats: an image is drawn with all repeats that test it.
    right_a, right_b, tested = np.zeros((3, len(number)))
    for a, b in zip(of_a, of_b, strict=True):
        for path in a.right:
            row = number[path]
            right_a[row] += a.right[path]
            right_b[row] += b.right[path]
            tested[row] += 1
    return statistics.bootstrap_difference(right_a, right_b, tested=tested, seed=SEED)


def _smallest(
    differences: Sequence[float], parts: Mapping[str, float], tested: Mapping[int, McNemar], *, images: int
) -> float | None:
    if len(differences) > 1:
        return power.smallest_detectable(differences, **parts)
    for one in tested.values():
        return power.smallest_detectable_on_one_part(one.only_a + one.only_b, images)
    return None


def _judged(pairs: Sequence[Pair], metric: str) -> list[Pair]:
    """Return the pairs with Holm's p values and verdicts."""
    adjusted = iter(statistics.holm([pair.p for pair in pairs if pair.p is not None]))
    corrected = [pair if pair.p is None else pair._replace(holm=next(adjusted)) for pair in pairs]
    return [pair._replace(verdict=_verdict(pair, metric, of=len(pairs))) for pair in corrected]


def _verdict(pair: Pair, metric: str, *, of: int) -> str:
    interval = pair.interval()
    if interval is None:
        return "one repeat does not tell"
    if interval.covers_zero():
        return NO_DIFFERENCE
    if pair.holm is not None and pair.holm > statistics.ALPHA:
        return f"{NO_DIFFERENCE} among {of} pairs" if of > 1 else NO_DIFFERENCE
    better = pair.a if (pair.difference > 0) != SCORES[metric].lower_is_better else pair.b
    return f"{better} is better"


def differing(experiments: Sequence[Experiment]) -> dict[str, list[Any]]:
    """Return the settings that differ between experiments, with the value of each experiment.

    >>> one = Experiment("a", {}, settings={"lr": 0.1, "head": "linear"})
    >>> differing([one, one._replace(name="b", settings={"lr": 0.2, "head": "linear"})])
    {'lr': [0.1, 0.2]}
    """
    return {name: values for name, values in _values(experiments) if any(value != values[0] for value in values)}


def _values(experiments: Sequence[Experiment]) -> Iterator[tuple[str, list[Any]]]:
    for name in dict.fromkeys(name for one in experiments for name in one.settings):
        yield name, [one.settings.get(name) for one in experiments]
