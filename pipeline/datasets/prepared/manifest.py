"""The CSV files that pass from stage to stage: UTF-8, one header line, one row an image.

A spreadsheet opens them. A text that it would take for a formula has an apostrophe before it, which `read` takes away.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

from pipeline.core.errors import InputError


class Row(NamedTuple):
    """One accepted image in manifest.csv.

    Attributes:
        path: its place below the collected images, with slashes.
        label: its class.
        part: train, val or test; empty where the set has no parts of its own.
        bytes: the file's size.
        sha256: of the file's bytes.
        width: in pixels, as it is used (upright).
        height: in pixels, as it is used (upright).
        mode: Pillow's name of how the file stores its pixels.
        note: what has to be converted; empty where nothing has.
    """

    path: str
    label: str
    part: str
    bytes: int
    sha256: str
    width: int
    height: int
    mode: str
    note: str


class Rejected(NamedTuple):
    """One file in rejected.csv that is not used, and why."""

    path: str
    reason: str


class Alike(NamedTuple):
    """One image in groups.csv that is in a group of duplicates.

    Attributes:
        path: its place below the collected images.
        group: number of the group, from 1.
        kind: exact (the same bytes) or near (encoded anew, resized, slightly cropped, brightened) as `of` says; empty
            where none before it in the group is linked to it.
        of: the image that it is a duplicate of; empty where `kind` is.
    """

    path: str
    group: int
    kind: str
    of: str


class Assigned(NamedTuple):
    """One image in a split file; `part` is train, val or test."""

    path: str
    label: str
    part: str


class Indexed(NamedTuple):
    """One row of the packed images' index."""

    path: str
    label: str


# What begins a formula, and what is put before one.
_FORMULA = ("=", "+", "-", "@", "'")
_TEXT = "'"
# What many rows have in common.
_SHARED = ("label", "part", "mode", "note")

RowT = TypeVar("RowT", Row, Rejected, Alike, Assigned, Indexed)


def write(file: Path, kind: type[RowT], rows: Iterable[RowT]) -> None:
    """Write rows of one kind below a line of their fields' names."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(kind._fields)
        writer.writerows(map(_plain, rows))


def read(file: Path, kind: type[RowT]) -> list[RowT]:
    """Read what `write` wrote.

    Raises:
        InputError: where the file is missing or is not a table of these rows.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            if tuple(next(lines, ())) != kind._fields:
                raise ValueError
            return list(_rows(lines, kind))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; dvc repro makes it") from None
    except (ValueError, csv.Error):
        columns = ",".join(kind._fields)
        raise InputError(f"{file}: not a table of {columns}; dvc repro makes it anew") from None


def _plain(row: Iterable[str | int]) -> list[str | int]:
    """A row of which no text is a formula.

    >>> _plain(["=1+1.png", "it's", "'", 5])
    ["'=1+1.png", "it's", "''", 5]
    """
    return [_TEXT + cell if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in row]


def _rows(lines: Iterable[list[str]], kind: type[RowT]) -> Iterator[RowT]:
    """Make each line a row as it comes; of a million, what is the same in many is held once."""
    made = dict(zip(kind._fields, get_type_hints(kind).values(), strict=True))
    numbers = [place for place, name in enumerate(made) if made[name] is int]
    shared = [place for place, name in enumerate(made) if name in _SHARED]
    held: dict[str, str] = {}
    for line in lines:
        if len(line) != len(made):
            raise ValueError
        row: list[Any] = [cell[1:] if cell.startswith(_TEXT) else cell for cell in line]
        for place in shared:
            row[place] = held.setdefault(row[place], row[place])
        for place in numbers:
            row[place] = int(row[place])
        yield kind._make(row)
