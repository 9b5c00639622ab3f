"""The advice and simpler rules, each as a choice among the candidates of one cut of the table of trainings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import comb
from statistics import fmean

from advice_table import REPEATS

from pipeline.advice import halving, recommendation
from pipeline.advice.halving import Tried
from pipeline.advice.recommendation import Recommendation
from pipeline.evaluation.compare.experiments import Experiment, Trial


# Equal to itself alone, as what was advised on it is kept.
@dataclass(frozen=True, eq=False)
class Cut:
    """All that was measured on one cut of a source.

    Attributes:
        source: of its images.
        per_class: images of a class to learn from.
        inner: right and wrong answers on the inner divisions, by candidate and repeat.
        images: which images these are of, by repeat.
        trained: number of training images of the inner divisions, by repeat.
        test: accuracy on the test part, the mean over the seeds, by candidate.
        seconds: of the processor for a training, the mean over the inner divisions, by candidate.
    """

    source: str
    per_class: int
    inner: Mapping[str, Mapping[int, str]]
    images: Sequence[Sequence[int]]
    trained: Mapping[int, int]
    test: Mapping[str, float]
    seconds: Mapping[str, float]

    @cached_property
    def best(self) -> float:
        """The highest accuracy of all candidates on the test part."""
        return max(self.test.values())

    def score(self, name: str, repeats: int) -> float:
        """Return a candidate's accuracy on the first so many inner divisions."""
        return fmean(
            self.inner[name][number].count("1") / len(self.inner[name][number]) for number in range(1, repeats + 1)
        )

    def regret(self, name: str) -> float:
        """Return how far below the best a candidate is on the test part."""
        return self.best - self.test[name]

    def experiment(self, name: str, repeats: int) -> Experiment:
        """Return a candidate's inner divisions as `compare` takes them."""
        trials = {
            number: Trial(
                {str(image): answer == "1" for image, answer in zip(tested, self.inner[name][number], strict=True)},
                train=self.trained[number],
            )
            for number, tested in enumerate(self.images[:repeats], start=1)
        }
        return Experiment(name, trials, redraws=True)


# Of a cut, an order of candidates and a budget of trainings: what is chosen, with its probability.
Rule = Callable[[Cut, list[str], int], dict[str, float]]


def advised(cut: Cut, order: list[str], budget: int) -> dict[str, float]:
    """Return what the advice recommends, its candidates in this order."""
    return {_advice(cut, tuple(order), budget).name: 1.0}


def tied_and_cheapest(cut: Cut, order: list[str], budget: int) -> dict[str, float]:
    """Return the cheapest of all that cannot be told from the best."""
    return {min(_advice(cut, tuple(order), budget).tied, key=cut.seconds.__getitem__): 1.0}


def best_tried(cut: Cut, order: list[str], budget: int) -> dict[str, float]:
    """Return what the advice names as the better bet, the one with the highest accuracy of all that it tried."""
    return {_advice(cut, tuple(order), budget).best: 1.0}


def probe_first(cut: Cut, order: list[str], budget: int) -> dict[str, float]:
    """Return what the advice recommends if it tries the frozen probe before all others."""
    return advised(cut, sorted(order, key=lambda name: name != "probe"), budget)


@cache
def _advice(cut: Cut, order: tuple[str, ...], budget: int) -> Recommendation:
    repeats: dict[str, int] = {}

    def attempt(names: Sequence[str], number: int) -> dict[str, Tried]:
        repeats.update(dict.fromkeys(names, min(number, REPEATS)))
        return {name: Tried(cut.score(name, repeats[name]), cut.seconds[name]) for name in names}

    halving.run(order, halving.affordable([1.0] * len(order), budget), attempt)
    experiments = [cut.experiment(name, number) for name, number in repeats.items()]
    return recommendation.recommend(experiments, cut.seconds)


def at_random(cut: Cut, order: list[str], budget: int) -> dict[str, float]:
    """Return how often each is the best on one inner division of as many, drawn, as the budget pays."""
    ranked = halving.better({name: cut.score(name, 1) for name in order}, cut.seconds, len(order))
    n = len(ranked)
    drawn = min(budget, n)
    return {name: comb(n - place - 1, drawn - 1) / comb(n, drawn) for place, name in enumerate(ranked)}


def searched(cut: Cut, order: list[str], _budget: int) -> dict[str, float]:
    """Return the best of all candidates on all inner divisions."""
    [name] = halving.better({name: cut.score(name, REPEATS) for name in order}, cut.seconds, 1)
    return {name: 1.0}


def first(_cut: Cut, order: list[str], _budget: int) -> dict[str, float]:
    """Return what was best elsewhere."""
    return {order[0]: 1.0}


RULES: Mapping[str, Rule] = {
    "advice": advised,
    "advice, most accurate": best_tried,
    "advice, probe first": probe_first,
    "cheapest tied candidate": tied_and_cheapest,
    "random search": at_random,
    "always 3b": lambda _cut, _order, _budget: {"3b": 1.0},
    "always strategy 1": lambda _cut, _order, _budget: {"1": 1.0},
    "static list": first,
    "full search": searched,
}
# Rules that these very results suggested, which no test on them can show.
SEEN_LATER = ("advice, probe first",)
# Rules whose regret is the same at each budget.
WITHOUT_BUDGET = ("always 3b", "always strategy 1", "static list", "full search")
