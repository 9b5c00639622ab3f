"""Experiments as they are compared, and the results of a comparison."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any, NamedTuple

from pipeline.evaluation.compare.statistics import Interval, McNemar, TTest

# The score that is compared unless another is named.
ACCURACY = "accuracy"


class Trial(NamedTuple):
    """One repeat of an experiment.

    Attributes:
        right: for each test image, by its path, whether its prediction was right; never empty.
        train: how many images it trained on.
        scores: the other scores by name, such as macro_f1; accuracy follows from `right`.
        seconds: of training; None where that is not known.
    """

    right: Mapping[str, bool]
    train: int
    scores: Mapping[str, float] = {}
    seconds: float | None = None

    def score(self, metric: str) -> float:
        """Return one of its scores."""
        return fmean(self.right.values()) if metric == ACCURACY else self.scores[metric]


class Experiment(NamedTuple):
    """The experiment that is compared.

    Attributes:
        name: what the user calls it.
        trials: by the number of the repeat; one or more.
        parameters: how many numbers trained; None where that is not known.
        settings: what it was made with, flat.
        images: what each image is, by its path, such as its class and its file's hash; may be empty, and then only
            paths are compared.
    """

    name: str
    trials: Mapping[int, Trial]
    parameters: int | None = None
    settings: Mapping[str, Any] = {}
    images: Mapping[str, str] = {}


class Summary(NamedTuple):
    """One experiment by itself.

    Attributes:
        name: of the experiment.
        n: how many repeats.
        mean: of the score.
        sd: with n - 1; None for a single repeat.
        interval: the 95 % interval that `Comparison.over` describes, within what the score can be; None where there is
            none, as where all values are the same.
        seconds: of training, the mean; None where not known.
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
    """Two experiments against each other, over the repeats that both have.

    Attributes:
        a: the one's name.
        b: the other's.
        repeats: which.
        difference: the mean of a's score less b's.
        test: the paired t test over the repeats, corrected where the splits vary; None for a single repeat.
        p: of that test, or of McNemar's for a single repeat; None where neither can be had.
        holm: p, raised by Holm's method for the number of pairs; None with p.
        mcnemar: for each repeat, of its images; empty for another score than accuracy.
        bootstrap: over images, of the difference of accuracies; None for another score.
        smallest: the smallest true difference that would be found in 80 % of such comparisons; None where none would.
        verdict: in words.
    """

    a: str
    b: str
    repeats: tuple[int, ...]
    difference: float
    test: TTest | None
    p: float | None
    holm: float | None
    mcnemar: dict[int, McNemar]
    bootstrap: Interval | None
    smallest: float | None
    verdict: str

    def interval(self) -> Interval | None:
        """Return the one that decides: over the repeats where there are several, else over the images."""
        return Interval(self.test.low, self.test.high) if self.test else self.bootstrap


class Comparison(NamedTuple):
    """Experiments side by side.

    Attributes:
        metric: the score.
        over: of what the intervals and tests are, a sentence.
        summaries: one an experiment, in the order given.
        pairs: each two of them.
        differing: settings that are not the same in all, with each experiment's value; None where it has none.
    """

    metric: str
    over: str
    summaries: list[Summary]
    pairs: list[Pair]
    differing: dict[str, list[Any]]
