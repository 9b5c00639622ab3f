"""The answer in words and numbers: what to run, how sure that is, and what was tried."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from pipeline.advice import costs, halving
from pipeline.advice.backbones import Frozen
from pipeline.advice.candidates import in_words
from pipeline.advice.image_sizes import Sized
from pipeline.advice.learning_curve import Gain, Point
from pipeline.advice.recommendation import Recommendation
from pipeline.core.percents import percent
from pipeline.evaluation.compare.experiments import Pair, Summary
from pipeline.evaluation.compare.statistics import Interval
from pipeline.reporting import aggregate
from pipeline.reporting.confidence_intervals import p_value
from pipeline.reporting.signs import DASH
from pipeline.reporting.tables import Table, duration, three_figures
from pipeline.studies.results import Result

# Of which no tenth is left.
SMALLEST_POINTS = 0.05
# What takes no training, as the report names it.
MAJORITY = "always the most frequent class"
# A candidate that was dropped has other means than these: its divisions are the first ones alone.
BELOW = "points below the best, on common repeats"
WORSE = "worse than the best"
WORSE_NETWORK = "its network is worse than the best's; other seeds are not tried"
OF_P = (
    "p is that of the test over the repeats of both, as `orbweaver compare` has it; of a single repeat McNemar's, or "
    "that of exchanged groups, about these networks alone: other seeds are not tried. It has Holm's correction for all "
    "pairs."
)


class Trial(NamedTuple):
    """A candidate as it was tried on inner divisions.

    Attributes:
        result: its repeats.
        round: of the last round that it was in, counted from 1.
    """

    result: Result
    round: int


class Answer(NamedTuple):
    """All that is said in the end.

    Attributes:
        advice: the recommendation.
        trials: every candidate that was tried, by name, those of later rounds first.
        rounds: how many rounds there were.
        tested: the recommended candidate on the test part that nothing had seen.
        gain: what more images are expected to add; None where so few have no curve.
        points: the points of the learning curve by repeat; empty where none was trained.
        images: how many are labeled.
        command: what runs the recommendation.
        best_command: what runs the best candidate, where a cheaper one is recommended; else "".
        meaning: what it does, in words.
        costs: seconds of a training of each candidate by name, all of one machine, see `costs.of`.
        frozen: the backbones that the trials' were chosen from; empty where there was nothing to choose.
        sizes: the image sizes that the trials' was chosen from; empty where there was nothing to choose.
        next_step: a line on image sizes, where they were not tried and may be worth it; else "".
        others: names of experiments that tested recommendations of other advices on the same test images.
    """

    advice: Recommendation
    trials: Mapping[str, Trial]
    rounds: int
    tested: Result
    gain: Gain | None
    points: Mapping[int, Sequence[Point]]
    images: int
    command: str
    best_command: str
    meaning: str
    costs: Mapping[str, float]
    frozen: Sequence[Frozen] = ()
    sizes: Sequence[Sized] = ()
    next_step: str = ""
    others: Sequence[str] = ()


def sentence(answer: Answer) -> str:
    """Return the recommendation with its accuracy, and why this one."""
    tested, name = answer.tested.summary, in_words(answer.advice.name)
    always = aggregate.majority_accuracy(answer.tested.repeats)
    interval = f"95 % interval {ends(tested.interval)}; " if tested.interval else ""
    expected = f"expect {percent(tested.mean)} of new images to be right ({interval}{MAJORITY}: {percent(always)})."
    if (tested.interval.low if tested.interval else tested.mean) <= always:
        expected += " The test does not show that it is better than always naming the most frequent class."
    return f"Use {name}: {expected} It is {_why(answer)}. With {name}, {answer.meaning}."


def _why(answer: Answer) -> str:
    """Return why a candidate is recommended, as words that go on in a sentence."""
    advice = answer.advice
    if len(answer.trials) == 1:
        return "the only one that was tried"
    ties = [name for name in advice.tied if name not in (advice.close if advice.name != advice.best else [advice.best])]
    undecided = [name for name in ties if answer.trials[name].round < answer.rounds]
    tied = len(ties) - len(undecided)
    if advice.name != advice.best:
        why = f"the cheapest of {len(advice.close)} within one standard error of the best, {in_words(advice.best)}"
        why += f"; {_counted(tied)} cannot be told from that either" if tied else ""
    elif equal := [name for name in ties if name not in undecided and not below_best(advice, name)]:
        why = f"the cheapest of {len(equal) + 1} with the highest accuracy"
        why += f", though {_counted(tied - len(equal))} cannot be told from it" if tied > len(equal) else ""
    elif tied:
        why = f"the best of those that were tried, though {_counted(tied)} cannot be told from it"
    elif undecided:
        why = "the best of those that were tried"
    else:
        why = "the best of those that were tried, and detectably better than each other one"
        if _is_of_one_repeat(advice):
            why += ", some of which were tried once; other seeds are not tried"
    if undecided:
        were = "was" if len(undecided) == 1 else "were"
        why += f"; {_counted(len(undecided))} {were} dropped after too few repeats to tell"
    return why


def _is_of_one_repeat(advice: Recommendation) -> bool:
    """Return whether a verdict on the best is over the images of a single repeat."""
    return any(pair_of(advice, one.name).test is None for one in advice.compared.summaries if one.name != advice.best)


def alternative(answer: Answer) -> str:
    """Return what had the highest accuracy where a cheaper candidate is recommended; "" where they are one."""
    advice = answer.advice
    if advice.name == advice.best:
        return ""
    more = 100 * below_best(advice, advice.name)
    points = f"{abs(more):.1f}" if abs(more) >= SMALLEST_POINTS else "less than 0.1"
    if more > 0:
        return (
            f"Where its cost does not matter, {in_words(advice.best)} is the better bet: it had {points} points more "
            "on the inner divisions, which may be chance."
        )
    on_both = f"{points} points less, which may be chance" if more else "the same accuracy"
    said = f"{in_words(advice.best)} was tried on more inner divisions; on those of both it had {on_both}."
    return said[0].upper() + said[1:]


def _counted(others: int) -> str:
    return "one other" if others == 1 else f"{others} others"


def tests(answer: Answer) -> str:
    """Return in sentences what intervals are over, and what p is of."""
    return f"{answer.advice.compared.over} {OF_P}"


def table(answer: Answer) -> Table:
    """Return every candidate: its last round, accuracy on inner divisions, against the best, and its cost."""
    advice, by_name = answer.advice, summaries(answer)
    rows = []
    for name in by_rank(answer):
        trial, summary = answer.trials[name], by_name[name]
        spread = "" if summary.sd is None else f" ± {100 * summary.sd:.1f}"
        rows.append(
            (
                name,
                fate(answer, name),
                str(summary.n),
                f"{100 * summary.mean:.1f}{spread}",
                DASH if summary.interval is None else ends(summary.interval),
                DASH if name == advice.best else _difference(advice, name),
                duration(answer.costs[name]),
                DASH if (speed := images_a_second(trial.result)) is None else three_figures(speed),
            )
        )
    before = "" if costs.comparable(advice.compared.machines) else ", timed before the trials"
    training = f"{costs.ALONE}, on inner training images{before}"
    header = ("candidate", "verdict", "n", "accuracy (%)", "95 % interval", BELOW, training, "images/s")
    return Table(header, rows, numbers_from=2)


def by_rank(answer: Answer) -> list[str]:
    """Return the names of the candidates, those of later rounds first, then those of higher accuracy."""
    by_name = summaries(answer)
    return sorted(answer.trials, key=lambda name: (-answer.trials[name].round, -by_name[name].mean))


def fate(answer: Answer, name: str) -> str:
    """Return what became of a candidate in a few words."""
    advice, trial = answer.advice, answer.trials[name]
    words = ["recommended"] if name == advice.name else []
    if name == advice.best:
        words.append("the best")
    elif name in advice.close:
        words.append("within one standard error of the best")
    elif name in advice.tied:
        repeats = len(pair_of(advice, name).repeats)
        if trial.round < answer.rounds:
            # Few repeats detect hardly anything, also where means are far apart.
            return f"dropped after {repeats} repeat{'s' if repeats > 1 else ''}, too few to tell"
        words.append("cannot be told from the best" + (f" in {repeats} repeats" if repeats > 1 else ""))
    else:
        words.append(WORSE if pair_of(advice, name).test else WORSE_NETWORK)
    if trial.round < answer.rounds:
        words.append(f"dropped after round {trial.round}")
    return ", ".join(words)


def _difference(advice: Recommendation, name: str) -> str:
    holm = pair_of(advice, name).holm
    points = f"{100 * below_best(advice, name):z.1f}"
    return f"{points} (p {DASH if holm is None else p_value(holm)})"


def below_best(advice: Recommendation, name: str) -> float:
    """Return how far a candidate is below the best over the repeats of both, -1 to 1."""
    pair = pair_of(advice, name)
    return round(pair.difference if pair.a == advice.best else -pair.difference, halving.DIGITS)


def pair_of(advice: Recommendation, name: str) -> Pair:
    """Return the comparison of a candidate with the best."""
    return next(one for one in advice.compared.pairs if {one.a, one.b} == {advice.best, name})


def summaries(answer: Answer) -> dict[str, Summary]:
    """Return each candidate's accuracy on its inner divisions."""
    return {one.name: one for one in answer.advice.compared.summaries}


def images_a_second(result: Result) -> float | None:
    """Return how many images a second were trained on, the mean over the repeats; None of a frozen probe.

    Its one pass over the images computes their features, which no epoch has the time of.
    """
    if aggregate.is_probe(result.repeats):
        return None
    return fmean(one.runtime.images_per_second for one in result.repeats)


def ends(interval: Interval) -> str:
    """Return an interval in points of a percent.

    >>> ends(Interval(-0.01, 0.5))
    '-1.0 to 50.0'
    """
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
