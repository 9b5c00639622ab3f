"""The results of a study's cells, next to the printed ones, and their differences; pure."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.evaluation.compare import comparison
from pipeline.evaluation.compare.experiments import Experiment, Pair, Summary
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import aggregate, confidence_intervals, standing
from pipeline.reporting.material import Probe
from pipeline.reporting.standing import Standing
from pipeline.studies.definition import Printed

# What the statistics are of, where no cell is there to say it.
NO_CELL = "No cell has a result here."
# No more than a chart of curves tells apart.
MOST_SHOWN = 28


class _Cell(NamedTuple):
    """The fields of a `Result`, which as a NamedTuple could keep nothing computed.

    Attributes:
        cell: its name.
        repeats: what was measured; none where the cell is missing.
        missing: why, in words; empty where it is not.
        printed: the paper's figures; None where it has none.
        cached: whether it trained nothing when it ran, as its result was already there.
        probes: the frozen probe of each repeat, by its number; empty where nothing is known of any.
        images: a hash of the photographs and labels, whatever size they are packed at; empty where it is not known.
        same: the paper's figures of further cells that are this experiment, by their names.
        elsewhere: whether it is on another data set than the printed figures.
    """

    cell: str
    repeats: Sequence[Repeat]
    missing: str = ""
    printed: Printed | None = None
    cached: bool = False
    probes: Mapping[int, Probe] = {}
    images: str = ""
    same: Mapping[str, Printed] = {}
    elsewhere: bool = False


class Result(_Cell):
    """One cell; what follows from its repeats is computed once, as each part of a page asks for it."""

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment as it is compared: each test image right or not, in each repeat."""
        return confidence_intervals.experiment(self.cell, self.repeats)

    @cached_property
    def summary(self) -> Summary:
        """The accuracy over the repeats, with its interval."""
        return comparison.summary(self.experiment)

    def seconds(self) -> aggregate.Spread:
        """Return training's seconds over the repeats."""
        return aggregate.speed_spreads(self.repeats)["train_seconds"]

    def standing(self) -> Standing | None:
        """Return the cell beside its frozen probes; None where it has none."""
        return standing.standing(self.repeats, self.probes)


class Group(NamedTuple):
    """Cells on the same images, which alone can be compared.

    Attributes:
        name: the data set; of the user's own photographs the name of their folder.
        results: the cells, in the study's order; none is missing.
        baseline: the name of the cell that the others are compared with.
    """

    name: str
    results: Sequence[Result]
    baseline: str


def groups(results: Sequence[Result], baseline: str) -> list[Group]:
    """Return the cells that are there, by their images; the size at which these are packed is a setting like others.

    The baseline is the study's, or else the first on these images.
    """
    by_images: dict[str, list[Result]] = {}
    for one in results:
        if one.repeats:
            by_images.setdefault(one.images or one.repeats[0].runtime.data_sha256, []).append(one)
    return [
        Group(
            images_of(members[0].repeats[0]),
            members,
            baseline if any(one.cell == baseline for one in members) else members[0].cell,
        )
        for members in by_images.values()
    ]


def listed(results: Sequence[Result]) -> list[Result]:
    """Return the rows of tables: each cell, and after it those with printed figures that are the same experiment."""
    return [row for one in results for row in (one, *_same(one))]


def _same(one: Result) -> Iterator[Result]:
    for name, printed in one.same.items():
        yield one._replace(cell=f"{name} (same as {one.cell})", printed=printed)


def images_of(one: Repeat) -> str:
    """Return what a repeat's images are called."""
    return one.runtime.naming.data or one.record.data.set


def shown(group: Group) -> Sequence[Result]:
    """Return the cells whose values, curves and comparisons a reader can take in: all, or the best and the baseline."""
    if len(group.results) <= MOST_SHOWN:
        return group.results
    ranked = sorted(group.results, key=lambda one: -one.summary.mean)
    baseline = [one for one in ranked[MOST_SHOWN - 1 :] if one.cell == group.baseline]
    return [*ranked[: MOST_SHOWN - len(baseline)], *baseline]


class Differences(NamedTuple):
    """Comparisons of the cells of a group.

    Attributes:
        pairs: of the cells that are shown each against the baseline, then the best against the others.
        ahead: number of cells that the best is better than.
        better: number of cells that are better than the baseline.
        worse: number of cells that the baseline is better than.
        note: why there are none; empty where there are.
        left_out: why a cell cannot be compared with the baseline, by its name; the others are compared.
    """

    pairs: Sequence[Pair] = ()
    ahead: int = 0
    better: int = 0
    worse: int = 0
    note: str = ""
    left_out: Mapping[str, str] = {}


def differences(group: Group) -> Differences:
    """Return the differences of a group's cells, without those that cannot be compared with the baseline."""
    try:
        return _differences(group)
    except InputError as error:
        left_out = _left_out(group)
        if len(left_out) in (0, len(group.results) - 1):
            return Differences(note=str(error))
    try:
        return _differences(without(group, left_out))._replace(left_out=left_out)
    except InputError as error:
        return Differences(note=str(error))


def _differences(group: Group) -> Differences:
    """Return the differences of cells all of which can be compared.

    Which cell is the best is known from the same results, so Holm's correction and the verdicts are over all pairs of
    the group, also those that are not returned.

    Raises:
        InputError: where two cannot be compared.
    """
    best, baseline = best_of(group), group.baseline
    cells = [one.cell for one in shown(group)]
    wanted = [(cell, baseline) for cell in cells if cell != baseline]
    if best != baseline:
        wanted += [(best, cell) for cell in cells if cell not in (best, baseline)]
    experiments = {one.cell: one.experiment for one in group.results}
    compared, every = comparison.compare_some(list(experiments.values()), wanted)

    def count(cell: str, *, better: bool) -> int:
        pairs = ((one, experiments[cell]) if better else (experiments[cell], one) for one in experiments.values())
        return sum(comparison.is_better(a, b, every) for a, b in pairs if a is not b)

    return Differences(
        pairs=compared,
        ahead=count(best, better=False),
        better=count(baseline, better=True),
        worse=count(baseline, better=False),
    )


def _left_out(group: Group) -> dict[str, str]:
    """Return why cells cannot be compared with the baseline, by name."""
    experiments, reasons = {one.cell: one.experiment for one in group.results}, dict[str, str]()
    baseline = experiments.pop(group.baseline)
    for cell, one in experiments.items():
        try:
            comparison.check([baseline, one])
        except InputError as error:
            reasons[cell] = str(error)
    return reasons


def without(group: Group, left_out: Collection[str]) -> Group:
    """Return a group without these cells."""
    return group._replace(results=[one for one in group.results if one.cell not in left_out])


def best_of(group: Group) -> str:
    """Return the cell of the highest mean accuracy, the first of several."""
    return all_best_of(group)[0]


def all_best_of(group: Group) -> list[str]:
    """Return the cells of the highest mean accuracy, of which there may be several on few images."""
    means = {one.cell: one.summary.mean for one in group.results}
    highest = max(means.values())
    return [cell for cell, mean in means.items() if math.isclose(mean, highest)]


def over(grouped: Sequence[Group]) -> str:
    """Return what the intervals and tests are of, in a sentence; in one a group where they differ."""
    said = [(group.name, comparison.over([one.experiment for one in group.results])) for group in grouped]
    if len({sentence for _, sentence in said}) < 2:
        return said[0][1] if said else NO_CELL
    return " ".join(f"On {name}: {sentence}" for name, sentence in said)
