"""Repeats of an experiment, read from their files in a working tree or a git revision."""

import csv
import io
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from pipeline.core import digests, paths
from pipeline.core.errors import AGAIN, InputError
from pipeline.core.record_file import RecordFile
from pipeline.core.records import Record, Runtime
from pipeline.core.scores_record import Scores

RecordT = TypeVar("RecordT", bound=RecordFile)


class Files(Protocol):
    """Access to the files of one experiment; paths are relative to the project's root."""

    @property
    def again(self) -> str:
        """The way out where a file is missing or cannot be used, for messages."""

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

    @property
    def again(self) -> str:
        """The way out, see `Files.again`."""
        return AGAIN

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
        InputError: if a file is not what its stage wrote, or does not have the form that it writes.
    """
    record, runtime = paths.training_metrics(number) / "record.json", paths.runtime_file(number)
    scores = paths.evaluation(number) / "scores.json"
    return Repeat(
        number=number,
        record=_parsed(Record, files, record),
        runtime=_parsed(Runtime, files, runtime),
        scores=_parsed(Scores, files, scores),
        history=table(files, paths.training_metrics(number) / "history.csv"),
        predictions=table(files, paths.evaluation(number) / "predictions.csv"),
    )


def _parsed(kind: type[RecordT], files: Files, path: Path) -> RecordT:
    try:
        return kind.parse(checked(files, path), path, files.again)
    except FileNotFoundError:
        # Older formats had no digests: that it is one of these says more than that there are none.
        kind.parse(files.read(path), path, files.again)
        raise


def checked(files: Files, path: Path) -> bytes:
    """Return the bytes of a file, compared with the digest beside it.

    Raises:
        FileNotFoundError: if the file is not available.
        InputError: if it is not what its stage wrote.
    """
    # How a damaged file comes back depends on whether it is in the working tree.
    return digests.read(path) if files == Folder(Path()) else digests.read(path, files.read, files.again)


def table(files: Files, path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header.

    Raises:
        FileNotFoundError: if the file is not available.
        InputError: if it is not what its stage wrote, has no row, or one of another length than the header's.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(checked(files, path).decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table: {error}; {files.again}") from None
    if not rows:
        raise InputError(f"{path}: has no row; {files.again}")
    for number, row in enumerate(rows, start=1):
        # Of cells beyond the header the key is None, of missing ones the value.
        if None in row or None in row.values():
            raise InputError(f"{path}: row {number} is not as long as the header; {files.again}")
    return rows
