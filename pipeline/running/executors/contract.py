"""The contract of an executor: what runs cells, on this machine or on a cluster."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pipeline.core.recipe import Recipe


class Task(NamedTuple):
    """A cell to run.

    Attributes:
        cell: its name in the study.
        experiment: DVC's name for it, which has the key of its content.
        overrides: what is put into params.yaml, as after -S.
        trainings: how many networks it trains.
        device: where it computes, as params.yaml has it.
        group: the same for cells of the same images and pre-trained weights.
        record: JSON of a run that is made again in place of an experiment; empty for a cell.
        own: the places of the user's own files that it reads, each with the digest that its name stands for.
    """

    cell: str
    experiment: str
    overrides: tuple[str, ...]
    trainings: int
    device: str = "auto"
    group: str = ""
    record: str = ""
    own: tuple[tuple[str, str], ...] = ()


class State(NamedTuple):
    """The state of a cell.

    Attributes:
        phase: whether it waits, runs, or has ended, well or not.
        reason: why it waits or failed; may be empty.
    """

    phase: Literal["waiting", "running", "finished", "failed"]
    reason: str = ""

    def has_ended(self) -> bool:
        """Return whether it has ended, well or not."""
        return self.phase in ("finished", "failed")


class Executor(Protocol):
    """A place where cells run. A cell is finished when its experiment is a reference of git in the user's clone.

    Attributes:
        look_every: seconds between two looks at the states.
    """

    look_every: float

    def submit(self, task: Task) -> str:
        """Take a cell in and return its handle; it may begin when states are next asked for."""

    def state(self, handles: Sequence[str]) -> Mapping[str, State]:
        """Return the state of each, after letting those begin that may."""

    def log(self, handle: str) -> Path:
        """Return the file of what it prints, which is there once it has begun."""

    def cancel(self, handles: Sequence[str]) -> None:
        """End those that have not ended, and return when nothing of them is left running."""


class Request(NamedTuple):
    """Cells to run, and how.

    Attributes:
        study: its name.
        recipes: of the cells, resolved.
        sets: what the user sets for all of them, as after -S.
        jobs: how many at a time; None for as many as the executor has places for.
        logs: the folder of what they print.
        detach: whether the command that asks ends when they are submitted.
    """

    study: str
    recipes: Sequence[Recipe]
    sets: Sequence[str]
    jobs: int | None
    logs: Path
    detach: bool = False

    def is_named(self, key: str) -> bool:
        """Return whether the user sets a key of params.yaml for all cells."""
        return any(word.partition("=")[0] == key for word in self.sets)


class Prepared(NamedTuple):
    """An executor for cells.

    Attributes:
        start: makes it, from the user's clone as it is then.
        words: what every cell sets besides, as after -S; part of what a cell is.
        lines: to be printed before anything runs.
    """

    start: Callable[[], Executor]
    words: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
