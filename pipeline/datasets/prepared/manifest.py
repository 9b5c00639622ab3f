"""The CSV files passed between stages: UTF-8, one header line, one row per image.

A spreadsheet can open them: a text that would be a formula there gets an apostrophe in front, which `read` removes.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

from pipeline.core.errors import AGAIN, InputError
from pipeline.core.files import MARK, as_cell

# Texts with all values that a cell may have.
Part = Annotated[str, "train", "val", "test"]
OwnPart = Annotated[str, "train", "val", "test", ""]
Kind = Annotated[str, "exact", "near", "alike", "group", ""]
Found = Annotated[str, "bytes", "hashes", "features"]
YesNo = Annotated[str, "yes", "no"]


class Row(NamedTuple):
    """One accepted image in manifest.csv.

    Attributes:
        path: relative to the collected images, with slashes.
        label: class name.
        part: train, val or test; empty if the set has no parts of its own.
        bytes: size of the file.
        sha256: of the file's bytes.
        width: in pixels, of the upright image.
        height: in pixels, of the upright image.
        mode: Pillow's name of the file's pixel format.
        note: conversions on loading; empty if there are none.
        group: of the images that stay in one part, such as a specimen's, as metadata.csv has it; empty without one.
    """

    path: str
    label: str
    part: OwnPart
    bytes: int
    sha256: str
    width: int
    height: int
    mode: str
    note: str
    group: str = ""


class Rejected(NamedTuple):
    """One file in rejected.csv, and the reason."""

    path: str
    reason: str


class Alike(NamedTuple):
    """One image in groups.csv, a member of a group that stays in one part: copies, or a group of metadata.csv.

    Attributes:
        path: relative to the collected images.
        group: number of the group, from 1.
        kind: exact (the same bytes), near (a copy, changed), alike (nothing confirms that it is one) or group (no copy,
            but of one group in metadata.csv), in relation to `of`; empty for an image with none of these before it.
        of: the image that it is related to; empty if `kind` is.
    """

    path: str
    group: int
    kind: Kind
    of: str


class Pair(NamedTuple):
    """Two images in pairs.csv that may be copies of one.

    Attributes:
        path: relative to the collected images.
        of: the image that it duplicates, which is before it in the manifest.
        found: by equal bytes, by hashes, or by a network's features.
        confirmed: yes if their bytes are equal, or one image lies on the other pixel by pixel.
        mirrored: yes if one of the two had to be mirrored for that.
        inliers: number of keypoints of both that fit one map; 0 if not looked at.
        agreement: percentage of the shared detail that correlates then.
        likeness: cosine of their features in percent; 0 if not computed.
    """

    path: str
    of: str
    found: Found
    confirmed: YesNo
    mirrored: YesNo
    inliers: int
    agreement: int
    likeness: int

    @property
    def is_copy(self) -> bool:
        """True for copies, false for images that are merely alike."""
        return self.confirmed == "yes" or self.found == "hashes"


class Assigned(NamedTuple):
    """One image in a split file; `part` is train, val or test."""

    path: str
    label: str
    part: Part


class Indexed(NamedTuple):
    """One row of the packed images' index."""

    path: str
    label: str


# Columns with few different values.
_SHARED = ("label", "part", "mode", "note", "found", "group")

# How the reason of an image begins that leaves its part, as a copy of it is in a later one.
DROPPED = "left out of "

RowT = TypeVar("RowT", Row, Rejected, Alike, Pair, Assigned, Indexed)


class _CellError(Exception):
    """A value of another kind than its column's."""


def write(file: Path, kind: type[RowT], rows: Iterable[RowT]) -> None:
    """Write rows of one type below a header line."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(kind._fields)
        writer.writerows([as_cell(cell) for cell in row] for row in rows)


def read(file: Path, kind: type[RowT]) -> list[RowT]:
    """Read rows of one type, as `write` wrote them.

    Raises:
        InputError: if the file is missing, is not a table of these rows, or has a value of another kind.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            if tuple(next(lines, ())) != kind._fields:
                raise ValueError
            return list(_rows(lines, kind))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; dvc repro makes it") from None
    except _CellError as error:
        raise InputError(f"{file}: {error}; {AGAIN}") from None
    except (ValueError, csv.Error):
        columns = ",".join(kind._fields)
        raise InputError(f"{file}: not a table of {columns}; {AGAIN}") from None


def _rows(lines: Iterable[list[str]], kind: type[RowT]) -> Iterator[RowT]:
    """Yield each line as a row."""
    types = dict(zip(kind._fields, get_type_hints(kind).values(), strict=True))
    numeric = [column for column, name in enumerate(types) if types[name] is int]
    shared = [column for column, name in enumerate(types) if name in _SHARED]
    hints = get_type_hints(kind, include_extras=True)
    known = {column: hints[name].__metadata__ for column, name in enumerate(types) if hints[name] is not types[name]}
    # One object per different value: a million rows would hold a million equal strings.
    interned: dict[str, str] = {}
    for line in lines:
        if len(line) != len(types):
            raise ValueError
        row: list[Any] = [cell[1:] if cell.startswith(MARK) else cell for cell in line]
        for column in shared:
            row[column] = interned.setdefault(row[column], row[column])
        for column, values in known.items():
            if row[column] not in values:
                choices = ", ".join(value or "nothing" for value in values)
                raise _CellError(f"{line[0]!r}: {kind._fields[column]}: {row[column]!r} is not one of {choices}")
        for column in numeric:
            # Of digits alone: `int` takes "1_0" and " 1" too.
            if not (row[column].isascii() and row[column].isdecimal()):
                raise _CellError(f"{line[0]!r}: {kind._fields[column]}: {row[column]!r} is not a whole number")
            row[column] = int(row[column])
        yield kind._make(row)
