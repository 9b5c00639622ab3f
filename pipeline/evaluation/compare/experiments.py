"""Types of compared experiments, and of the results of a comparison."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from pipeline.core.records import MachineRecord
from pipeline.evaluation.compare import units
from pipeline.evaluation.compare.crossed import CrossedTest, FloatArray
from pipeline.evaluation.compare.machines import Differing
from pipeline.evaluation.compare.mcnemar import McNemar
from pipeline.evaluation.compare.statistics import Interval, TTest

# The default score of a comparison.
ACCURACY = "accuracy"


class Trial(NamedTuple):
    """One repeat of an experiment.

    Attributes:
        right: whether the prediction is right, by path of the test image; never empty.
        train: number of training images.
        scores: the other scores by name, such as macro_f1; accuracy follows from `right`.
        seconds: training time; None if unknown.
        groups: the group of each test image that is in one that the user named, by path.
        machine: what trained it; None if unknown.
    """

    right: Mapping[str, bool]
    train: int
    scores: Mapping[str, float] = {}
    seconds: float | None = None
    groups: Mapping[str, str] = {}
    machine: MachineRecord | None = None

    def score(self, metric: str) -> float:
        """Return the value of a score."""
        return fmean(self.right.values()) if metric == ACCURACY else self.scores[metric]

    @property
    def units(self) -> units.IntArray:
        """The number (m,) of each test image's unit, by order of the paths."""
        return units.units(sorted(self.right), self.groups)

    @property
    def unit_count(self) -> int:
        """Number of its units."""
        return int(self.units.max()) + 1 if self.groups else len(self.right)

    @property
    def worth(self) -> float:
        """How many independent images its test images are worth, see `units.effective`."""
        return units.effective(self.units) if self.groups else float(len(self.right))

    @property
    def effective_groups(self) -> float:
        """The effective number of its units, see `units.effective_groups`."""
        return units.effective_groups(self.units) if self.groups else float(len(self.right))


class Experiment(NamedTuple):
    """One experiment with its repeats.

    Attributes:
        name: the user's name for it.
        trials: one or more, by number of the repeat.
        parameters: number of parameters that trained; None if unknown.
        settings: its settings, flat.
        images: identity of each image by path, such as its class and its file's hash; if empty, only paths are
            compared.
        redraws: whether each repeat draws its own training images, even where all have the same test images.
    """

    name: str
    trials: Mapping[int, Trial]
    parameters: int | None = None
    settings: Mapping[str, Any] = {}
    images: Mapping[str, str] = {}
    redraws: bool = False


class Summary(NamedTuple):
    """Mean score of one experiment.

    Attributes:
        name: of the experiment.
        n: number of repeats.
        mean: of the score.
        sd: standard deviation with n - 1; None for a single repeat.
        interval: the 95 % interval that `Comparison.over` describes, clipped to the range of the score; None where
            there is none, as for equal values.
        seconds: mean training time; None if unknown.
        parameters: as in `Experiment`.
    """

    name: str
    n: int
    mean: float
    sd: float | None
    interval: Interval | None
    seconds: float | None
    parameters: int | None


class Pair(NamedTuple):
    """Difference of two experiments over the repeats that both have.

    Attributes:
        a: name of the first experiment.
        b: name of the second.
        repeats: numbers of the common repeats.
        difference: mean of a's score minus b's.
        test: the test over the repeats: the corrected paired t test where the splits vary; where the test part is the
            same, of the accuracy over repeats and images at once, of other scores the plain paired t test; None for a
            single repeat.
        p: of that test, or of McNemar's for a single repeat; None if there is neither; 1 if `untested`.
        holm: p adjusted by Holm's method for all pairs of the comparison; None with p.
        mcnemar: McNemar's test on the images of each repeat; empty for scores other than accuracy.
        over_units: interval of the difference of accuracies over images, or named groups, alone, see
            `over_units.difference`; None for other scores, and where it was not asked for.
        smallest: the smallest true difference that 80 % of such comparisons detect, of as many pairs; None if there is
            none.
        repeats_needed: number of repeats of which 80 % of such comparisons detect two points; None for a single repeat
            and for scores that are not in percent, and where no number up to 1,000 does.
        repeats_suffice: whether any number does; else other test images, or independent splits, are needed.
        better: name of the one whose score is detectably better; of a single repeat, its network on its test images.
        verdict: the same in words, and what it holds for.
    """

    a: str
    b: str
    repeats: tuple[int, ...]
    difference: float
    test: TTest | CrossedTest | None
    p: float | None
    holm: float | None
    mcnemar: dict[int, McNemar]
    over_units: Interval | None
    smallest: float | None
    repeats_needed: int | None
    repeats_suffice: bool
    better: str | None
    verdict: str

    @property
    def untested(self) -> bool:
        """Whether equal differences in all repeats leave nothing to test with: no p, which counts as 1 in Holm's."""
        return self.test is not None and math.isnan(self.test.low)

    def interval(self) -> Interval | None:
        """Return the interval that decides: of the test over repeats if there are several, else over images."""
        return Interval(self.test.low, self.test.high) if self.test else self.over_units


class Comparison(NamedTuple):
    """Results of a comparison.

    Attributes:
        metric: name of the score.
        over: a sentence on the population of the intervals and tests.
        summaries: one per experiment, in the order of the arguments.
        pairs: one per pair of experiments.
        differing: settings that differ, with the value of each experiment; None for one without the setting.
        machines: devices, threads and versions that differ, with the experiments that have each.
    """

    metric: str
    over: str
    summaries: list[Summary]
    pairs: list[Pair]
    differing: dict[str, list[Any]]
    machines: Differing


def draws_splits(one: Experiment) -> bool:
    """Return whether the repeats of an experiment test different images."""
    first, *others = one.trials.values()
    return any(trial.right.keys() != first.right.keys() for trial in others)


def part_sizes(trials: Sequence[Trial], *, drawn: bool) -> dict[str, float]:
    """Return the mean sizes of the parts as arguments of `statistics`; `test` is 0 where nothing is to be corrected."""
    test = fmean(len(trial.right) for trial in trials) if drawn else 0
    return {"train": fmean(trial.train for trial in trials), "test": test}


def answers(trials: Sequence[Trial]) -> FloatArray:
    """Return what `by_image` does; where the user named groups of images, of these, see `units.by_unit`."""
    table = by_image(trials)
    return units.by_unit(table, trials[0].units) if trials[0].groups else table


def by_image(trials: Sequence[Trial]) -> FloatArray:
    """Return (n, m) whether each of n repeats gets each of its m common test images right, by order of the paths."""
    paths = sorted(trials[0].right)
    return np.array([[trial.right[path] for path in paths] for trial in trials], dtype=np.float64)
