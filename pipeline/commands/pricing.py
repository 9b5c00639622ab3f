"""The price of an advice, said before it is paid: measured on this machine for some seconds a candidate."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from filelock import FileLock
from tqdm import tqdm

from pipeline.advice import candidates, costs, halving
from pipeline.advice.candidates import Candidate
from pipeline.advice.halving import Round
from pipeline.advice.learning_curve import FRACTIONS
from pipeline.assembly import duration, networks
from pipeline.assembly.machine import device_model, machine
from pipeline.config import Resolved
from pipeline.core import full_memory, paths, provenance, seeding
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.networks.build import build
from pipeline.preview import at_hand
from pipeline.reporting import tables
from pipeline.running import cell_runs, trials
from pipeline.running.cells import Cell

# How many starts of a program that imports torch a training and a cell take besides: dividing, testing, the probe and
# what starts; DVC, the copy of the clone, images and weights that are looked at, and the page. As measured: 11 cells of
# 17 trainings took 402 s beside their trainings where a start took 2.3 s.
A_TRAINING, A_CELL = 5, 8
IMPORTS = "import pipeline.stages.train"
# Of so many starts the quickest counts: others wait for whatever else the machine does.
STARTS = 3
# By machine: seconds by the key of a trial's cell, in the user's own clone, and those of a program's start.
MEASURED, STARTING = Path(".dvc/tmp/advice/seconds.json"), "starting"


class Price(NamedTuple):
    """Seconds of one training of each candidate, and of what DVC and Python take besides.

    Attributes:
        by_name: of a training of each candidate, the most promising first; two that are one experiment are there once.
        starting: of a program that imports torch.
        possible: how many candidates there are, also those that no budget was there to measure.
    """

    by_name: Mapping[str, float]
    starting: float
    possible: int

    @property
    def training(self) -> list[float]:
        """Of one training of each candidate, without what DVC and Python take."""
        return list(self.by_name.values())

    @property
    def seconds(self) -> list[float]:
        """Of one training of each candidate in a cell of its own."""
        return [one + self.starting * (A_TRAINING + A_CELL) for one in self.training]

    def of(self, names: Collection[str]) -> "Price":
        """Return the price of these candidates alone."""
        return self._replace(by_name={name: one for name, one in self.by_name.items() if name in names})

    def last(self, seeds: int, tried: int) -> float:
        """Return the seconds of the last comparison and the learning curve, of a candidate of the mean cost.

        Args:
            seeds: of the last comparison and of each point of the curve.
            tried: repeats that the trials leave, see `last_trainings`.
        """
        cells = len(FRACTIONS) + 1
        return (
            last_trainings(seeds, tried) * (fmean(self.training) + A_TRAINING * self.starting)
            + cells * A_CELL * self.starting
        )

    def lines(self, rounds: Sequence[Round], seeds: int) -> list[str]:
        """Return what the rounds and the last comparison cost, a line each."""
        first = self.of([*self.by_name][: rounds[0].candidates])
        tried = first.seconds
        count = int(halving.price([1.0] * len(tried), rounds))
        said = " then ".join(f"{one.candidates} with n = {one.repeats}" for one in rounds)
        return [
            f"trials: {len(tried)} of {counted(self.possible, 'candidate')}, {said}: {counted(count, 'training')} "
            f"{costs.WHOLE}, about {tables.duration(halving.price(tried, rounds))}",
            f"then {last_trainings(seeds, rounds[-1].repeats)} trainings of the recommended one "
            f"{costs.WHOLE}, for the test part and for the learning curve: "
            f"about {tables.duration(first.last(seeds, rounds[-1].repeats))}",
        ]

    def total(self, rounds: Sequence[Round], seeds: int) -> float:
        """Return the seconds of the rounds, the last comparison and the learning curve together."""
        first = self.of([*self.by_name][: rounds[0].candidates])
        return halving.price(first.seconds, rounds) + first.last(seeds, rounds[-1].repeats)


def last_trainings(seeds: int, tried: int) -> int:
    """Return how many trainings the last comparison and the learning curve take.

    The curve's point of all images are the trials' own repeats, and what these lack is trained.

    Args:
        seeds: of the last comparison and of each point of the curve.
        tried: repeats of the last round of trials.

    >>> [last_trainings(3, tried) for tried in (1, 2, 3, 4)]
    [14, 13, 12, 12]
    """
    return seeds * len(FRACTIONS) + max(0, seeds - tried)


def price(
    listed: Sequence[Candidate],
    words: Sequence[str],
    *,
    trainings: int | None = None,
    anew: bool = False,
    check: Callable[[Price], object] = lambda _: None,
) -> Price:
    """Measure what a training of each candidate takes; what was measured before is read, so that plans stay the same.

    Candidates that the other settings or the network exclude are left out, with a line each.

    Args:
        listed: the candidates, the most promising first.
        words: what all set besides, as after -S.
        trainings: how many there may be; candidates that they do not pay are not measured.
        anew: whether what was measured before is measured again, such as on a machine that was busy then.
        check: refuses the price of a candidate whose training takes no time, before any candidate is measured.

    Raises:
        InputError: where no candidate is possible, `check` refuses, or the number of images is not known.
    """
    possible = _possible({one.name: {**one.settings, **candidates.inner(1)} for one in listed}, words)
    needed = halving.affordable([1.0] * len(possible), trainings)[0].candidates if trainings else len(possible)
    known, refused = _measured(possible, needed, anew=anew, check=check)
    if not known.by_name:
        raise InputError(refused[0])
    for line in refused:
        cell_runs.say("advise", [f"left out: {line}"])
    return known._replace(possible=len(possible) - len(refused))


def _measured(
    possible: Sequence[Cell], needed: int, *, anew: bool, check: Callable[[Price], object] = lambda _: None
) -> tuple[Price, list[str]]:
    """Return the price of the first so many that can be measured, and why those in front of them cannot."""
    file = paths.root() / MEASURED
    before = {} if anew else _read(file).get(_here(), {})
    known, by_name, refused = {**before}, dict[str, float](), list[str]()
    try:
        if STARTING not in known:
            known[STARTING] = _starting()
        check(Price({"": 0.0}, known[STARTING], 1))
        for cell in tqdm(possible, desc="measuring", unit="candidate", leave=False, disable=None):
            if len(by_name) == needed:
                break
            try:
                if cell.key not in known:
                    known[cell.key] = _seconds(cell.resolved)
                by_name[cell.name] = known[cell.key]
            except (InputError, RuntimeError) as error:
                refused.append(f"{cell.name}: {_reason(error)}")
    finally:
        # Whatever ends it: what was measured is not measured again.
        if measured := dict(known.items() - before.items()):
            _keep(file, measured)
    return Price(by_name, known[STARTING], len(possible)), refused


def _read(file: Path) -> dict[str, dict[str, float]]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _keep(file: Path, measured: dict[str, float]) -> None:
    """Add what was measured to the file, where others may have kept theirs meanwhile: a `--price` waits for nobody."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        every, here = _read(file), _here()
        with paths.written_whole(file) as target:
            target.write_text(json.dumps(every | {here: every.get(here, {}) | measured}) + "\n", encoding="utf-8")


def _reason(error: Exception) -> str:
    """Return why a candidate cannot be measured: such as maps to compare of a network of tokens, or a full GPU.

    Raises:
        RuntimeError: the error itself, where it is of no such kind.
    """
    if isinstance(error, InputError):
        return str(error)
    if full_memory.is_out_of_memory(error):
        return full_memory.OUT_OF_MEMORY
    raise error


def _possible(settings: trials.Settings, words: Sequence[str]) -> list[Cell]:
    """Return the cells of those that params.yaml can take.

    Raises:
        InputError: that of the first, where it can take none.
    """
    try:
        return trials.plan(settings, words)
    except InputError:
        # Of many at once only the first is named.
        planned: dict[str, Cell] = {}
        refused: list[str] = []
        for name, one in settings.items():
            try:
                [cell] = trials.plan({name: one}, words)
                planned.setdefault(cell.key, cell)
            except InputError as error:
                refused.append(str(error))
        if not planned:
            raise InputError(refused[0]) from None
        for line in refused:
            cell_runs.say("advise", [f"left out: {line}"])
        return list(planned.values())


def _here() -> str:
    """Return the name of this machine: a clone may be on a file system that others have too."""
    model = device_model(torch.device(seeding.choose_device("auto")))
    return ", ".join(filter(None, (model, provenance.processor())))


def _starting() -> float:
    def start() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", IMPORTS], check=True)
        return time.perf_counter() - started

    return min(start() for _ in range(STARTS))


def _seconds(resolved: Resolved) -> float:
    recipe, classes = resolved.recipe, at_hand.count_classes(resolved)
    sizes = at_hand.part_sizes(resolved, classes)
    if sizes is None or not sizes.train:
        raise InputError(f"data: how many images {recipe.data.set} has is not known yet; run `dvc repro collect` first")
    on = machine(recipe)
    network = build(networks.plan(recipe, classes=classes), pretrained=None).to(on.device)
    return duration.seconds_a_repeat(recipe, network, sizes, classes=classes, on=on)
