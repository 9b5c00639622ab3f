"""The CSV files that pass from stage to stage: UTF-8, one header line, one row an image."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar, get_type_hints

from pipeline.errors import InputError


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


RowT = TypeVar("RowT", Row, Rejected, Alike, Assigned, Indexed)


def write(file: Path, kind: type[RowT], rows: Iterable[RowT]) -> None:
    """Write rows of one kind below a line of their fields' names."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(kind._fields)
        writer.writerows(rows)


def read(file: Path, kind: type[RowT]) -> list[RowT]:
    """Read what `write` wrote.

    Raises:
        InputError: where the file is missing or is not a table of these rows.
    """
    types = get_type_hints(kind).values()
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            header, *lines = csv.reader(stream, strict=True)
        if tuple(header) != kind._fields:
            raise ValueError
        return [kind._make(make(text) for make, text in zip(types, line, strict=True)) for line in lines]
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; dvc repro makes it") from None
    except (ValueError, csv.Error):
        columns = ",".join(kind._fields)
        raise InputError(f"{file}: not a table of {columns}; dvc repro makes it anew") from None
