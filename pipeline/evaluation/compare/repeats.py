"""Repeats of an experiment, read from their files in a working tree or a git revision."""

import csv
import io
from pathlib import Path
from typing import NamedTuple, Protocol

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.records import Record, Runtime, Scores


class Files(Protocol):
    """Access to the files of one experiment; paths are relative to the project's root."""

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: if the file is not available.
        """

    def names(self, folder: Path) -> list[Path]:
        """Return every file below a folder; none if there is no such folder."""


class Folder(NamedTuple):
    """The files of a working tree."""

    root: Path

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file, see `Files.read`."""
        return (self.root / path).read_bytes()

    def names(self, folder: Path) -> list[Path]:
        """Return every file below a folder, see `Files.names`."""
        return sorted(p.relative_to(self.root) for p in (self.root / folder).rglob("*") if p.is_file())


class Repeat(NamedTuple):
    """Results of training and testing one repeat.

    Attributes:
        number: of the repeat.
        record: the inputs of the result.
        runtime: times and device, which may differ between two equal runs.
        scores: of the test part.
        history: history.csv, one mapping per row.
        predictions: predictions.csv, one mapping per row.
    """

    number: int
    record: Record
    runtime: Runtime
    scores: Scores
    history: list[dict[str, str]]
    predictions: list[dict[str, str]]

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the confusion matrix."""
        return list(self.record.data.classes)


def read(files: Files, number: int) -> Repeat:
    """Read one repeat.

    Raises:
        FileNotFoundError: if a file is not available.
        InputError: if a file does not have the form that its stage writes.
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
        FileNotFoundError: if the file is not available.
        InputError: if it has no row.
    """
    rows = list(csv.DictReader(io.StringIO(files.read(path).decode("utf-8"), newline="")))
    if not rows:
        raise InputError(f"{path}: has no row; `dvc repro` makes it anew")
    return rows
