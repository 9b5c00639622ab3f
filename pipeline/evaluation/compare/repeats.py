"""Repeats of an experiment as their files have them, in a working tree or in a git revision."""

import csv
import io
from pathlib import Path
from typing import NamedTuple, Protocol

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.records import Record, Runtime, Scores


class Files(Protocol):
    """The files of one experiment, wherever they are; paths are relative to the project's root."""

    def read(self, path: Path) -> bytes:
        """Return the file's bytes.

        Raises:
            FileNotFoundError: if it cannot be had.
        """

    def names(self, folder: Path) -> list[Path]:
        """Return every file below the folder; none where there is no such folder."""


class Folder(NamedTuple):
    """The files of a working tree."""

    root: Path

    def read(self, path: Path) -> bytes:
        """Return the file's bytes, as `Files` has it."""
        return (self.root / path).read_bytes()

    def names(self, folder: Path) -> list[Path]:
        """Return every file below the folder, as `Files` has it."""
        return sorted(p.relative_to(self.root) for p in (self.root / folder).rglob("*") if p.is_file())


class Repeat(NamedTuple):
    """One repeat as training and testing left it.

    Attributes:
        number: the repeat.
        record: what the result follows from.
        runtime: what may differ between two equal runs.
        scores: of the test part.
        history: history.csv, one mapping a row.
        predictions: predictions.csv, one mapping a row.
    """

    number: int
    record: Record
    runtime: Runtime
    scores: Scores
    history: list[dict[str, str]]
    predictions: list[dict[str, str]]

    @property
    def classes(self) -> list[str]:
        """The class names in the order of the confusion matrix."""
        return list(self.record.data.classes)


def read(files: Files, number: int) -> Repeat:
    """Read one repeat.

    Raises:
        FileNotFoundError: if a file is not at hand.
        InputError: if one is not what its stage writes.
    """
    record, runtime = paths.training_metrics(number) / "record.json", paths.runtime_file(number)
    scores = paths.evaluation(number) / "scores.json"
    return Repeat(
        number=number,
        record=Record.parse(files.read(record), record),
        runtime=Runtime.parse(files.read(runtime), runtime),
        scores=Scores.parse(files.read(scores), scores),
        history=table(files, paths.training_metrics(number) / "history.csv"),
        predictions=table(files, paths.evaluation(number) / "predictions.csv"),
    )


def table(files: Files, path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header.

    Raises:
        FileNotFoundError: if the file is not at hand.
        InputError: if it has no row.
    """
    rows = list(csv.DictReader(io.StringIO(files.read(path).decode("utf-8"), newline="")))
    if not rows:
        raise InputError(f"{path}: has no row; `dvc repro` makes it anew")
    return rows
