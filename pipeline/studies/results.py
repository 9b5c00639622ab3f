"""The results of a study's cells, next to the printed ones, and their differences; pure."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.evaluation.compare import comparison, statistics
from pipeline.evaluation.compare.comparison import Pair, Summary
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import aggregate
from pipeline.studies.definition import Printed

# What the statistics are of, where no cell is there to say it.
NO_CELL = "No cell has run yet."


class Result(NamedTuple):
    """One cell.

    Attributes:
        cell: its name.
        repeats: what was measured; none where the cell is missing.
        missing: why, in words; empty where it is not.
        printed: the paper's figures; None where it has none.
    """

    cell: str
    repeats: Sequence[Repeat]
    missing: str = ""
    printed: Printed | None = None

    def experiment(self) -> comparison.Experiment:
        """Return the experiment as it is compared: each test image right or not, in each repeat."""
        return comparison.Experiment(
            self.cell,
            {one.number: _trial(one) for one in self.repeats},
            parameters=self.repeats[0].record.parameters.trainable,
        )

    def summary(self) -> Summary:
        """Return the accuracy over the repeats, with its interval."""
        return comparison.summary(self.experiment())

    def seconds(self) -> aggregate.Spread:
        """Return training's seconds over the repeats."""
        return aggregate.speed_spreads(self.repeats)["train_seconds"]


def _trial(one: Repeat) -> comparison.Trial:
    return comparison.Trial(
        right={row["path"]: row["actual"] == row["predicted"] for row in one.predictions},
        train=one.record.parts.train,
        scores={},
        seconds=one.runtime.train_seconds,
    )


class Group(NamedTuple):
    """Cells on the same images, which alone can be compared.

    Attributes:
        name: the data set.
        results: the cells, in the study's order; none is missing.
        baseline: the name of the cell that the others are compared with.
    """

    name: str
    results: Sequence[Result]
    baseline: str


def groups(results: Sequence[Result], baseline: str) -> list[Group]:
    """The cells that are there, by their images; the baseline is the study's, or else the first on these images."""
    by_images: dict[str, list[Result]] = {}
    for one in results:
        if one.repeats:
            by_images.setdefault(one.repeats[0].runtime.data_sha256, []).append(one)
    return [
        Group(
            members[0].repeats[0].record.data.set,
            members,
            baseline if any(one.cell == baseline for one in members) else members[0].cell,
        )
        for members in by_images.values()
    ]


class Difference(NamedTuple):
    """One cell's accuracy less another's, with Holm's p over the group's comparisons, and the verdict in words."""

    pair: Pair
    holm: float | None
    verdict: str


def differences(group: Group) -> list[Difference]:
    """Return every cell against the baseline, then the best against the others; Holm's correction is over all of these.

    Raises:
        InputError: two cells were not tested on the same images.
    """
    experiments = {one.cell: one.experiment() for one in group.results}
    pairs = [
        comparison.compare([experiments[a], experiments[b]]).pairs[0] for a, b in _wanted(group, best=best_of(group))
    ]
    raised = iter(statistics.holm([pair.p for pair in pairs if pair.p is not None]))
    return [
        Difference(pair, holm := None if pair.p is None else next(raised), _verdict(pair, holm, of=len(pairs)))
        for pair in pairs
    ]


def best_of(group: Group) -> str:
    """Return the cell of the highest mean accuracy."""
    return max(group.results, key=lambda one: one.summary().mean).cell


def _wanted(group: Group, *, best: str) -> list[tuple[str, str]]:
    others = [one.cell for one in group.results if one.cell != group.baseline]
    against_baseline = [(cell, group.baseline) for cell in others]
    return against_baseline + [(best, cell) for cell in others if best not in (cell, group.baseline)]


def _verdict(pair: Pair, holm: float | None, *, of: int) -> str:
    interval = pair.interval()
    if interval is not None and not interval.covers_zero() and holm is not None and holm > statistics.ALPHA:
        return f"{comparison.NO_DIFFERENCE} among {of} comparisons"
    return pair.verdict


def over(results: Sequence[Result]) -> str:
    """Return what the intervals and tests are of, in a sentence."""
    there = [one for one in results if one.repeats]
    return comparison.compare([there[0].experiment()]).over if there else NO_CELL


def compared(group: Group) -> tuple[list[Difference], str]:
    """Return the differences, or none and why."""
    try:
        return differences(group), ""
    except InputError as error:
        return [], str(error)
