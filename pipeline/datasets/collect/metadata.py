"""The table metadata.csv in the user's folder: labels, parts and groups of photographs, one line each.

Its name and its column `file_name` are those of the image folders of Hugging Face's `datasets`.
"""

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.core import paths
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.datasets.collect import empty_cells, spreadsheet
from pipeline.datasets.collect.left_out import UNLISTED
from pipeline.datasets.collect.listing import name_fault, names, quoted
from pipeline.datasets.collect.parts import TEST, part_of

NAME = "metadata.csv"
FILE = "file_name"
# What a class cannot be called, as predictions are sorted into folders of these names.
_NO_FOLDERS = (".", "..")


class Entry(NamedTuple):
    """One line of the table; a cell that is empty, or whose column is not there, is "".

    Attributes:
        label: class name.
        part: train, val or test.
        group: what its images have in common, such as a specimen or a site.
    """

    label: str
    part: str
    group: str


# What is said of a file that no table lists.
NOTHING = Entry("", "", "")


class Metadata(NamedTuple):
    """The table of a folder.

    Attributes:
        entries: by the file's path, relative to the folder, with slashes, in Unicode's form NFC.
        columns: those of `Entry` that it has.
        tested: how the table calls the validation images that are taken as the test part; "" where none are.
        not_read: the names of further columns, in order.
        empty: of the cells with a text that stands for an empty one, the text, by column and path.
    """

    entries: dict[str, Entry]
    columns: frozenset[str]
    tested: str = ""
    not_read: tuple[str, ...] = ()
    empty: Mapping[str, Mapping[str, str]] = {}

    @property
    def parts(self) -> list[str]:
        """The parts that it names, sorted; none where it has no such column."""
        return sorted({one.part for one in self.entries.values()} - {""})

    @property
    def notes(self) -> Iterator[str]:
        """Lines on how it was read, where that is worth one."""
        if self.has("label"):
            yield f"the classes are those of the column label in {NAME}, whatever folders are called"
        if self.not_read:
            yield f"columns of {NAME} that are not read: {names(self.not_read)}; read are label, part and group"
        yield from empty_cells.notes(self.empty, NAME)

    def has(self, column: str) -> bool:
        """Return whether it has one of the columns of `Entry`."""
        return column in self.columns

    def entry(self, path: str) -> Entry:
        """Return what the table says of a file; nothing of one that it does not list."""
        return self.entries.get(_plain(path), NOTHING)

    def missing(self, path: str) -> str:
        """Return why a file cannot be used as far as the table goes; "" where it can."""
        if self.has("label") and _plain(path) not in self.entries:
            return f"is not listed {UNLISTED}"
        entry = self.entry(path)
        for column in ("label", "part"):
            if self.has(column) and not getattr(entry, column):
                if text := self.empty.get(column, {}).get(_plain(path)):
                    return empty_cells.reason(column, text)
                return f"has no {column} {UNLISTED}"
        return ""


def read(folder: Path) -> Metadata | None:
    """Return the folder's table; None where it has none.

    Raises:
        InputError: for a table without the columns, with a line of another length, or with a value that cannot be used.
    """
    file = _place(folder)
    if not file.is_file():
        return None
    lines = spreadsheet.lines(file)
    header = next(lines, (1, []))[1]
    columns = _columns(file, header)
    not_read = tuple(title for cell, name in zip(header, columns, strict=True) if not name and (title := cell.strip()))
    entries: dict[str, Entry] = {}
    called: dict[str, str] = {}
    empty: dict[str, dict[str, str]] = {}
    for number, line in lines:
        if len(line) != len(columns):
            raise InputError(
                f"{file}: line {number} has {counted(len(line), 'cell')}, the header {len(columns)}; mend the line"
            )
        texts = _texts(columns, line)
        cells = {name: "" if empty_cells.is_empty(name, text) else text for name, text in texts.items()}
        path = _plain(cells[FILE])
        if not path or path in entries:
            fault = "is named twice" if path else "is empty"
            raise InputError(f"{file}: line {number}: {FILE} {cells[FILE]!r} {fault}; list each file once")
        part = _part(file, number, cells.get("part", ""))
        called.setdefault(part, cells.get("part", ""))
        for name, text in texts.items():
            if text and not cells[name]:
                empty.setdefault(name, {})[path] = text
        entries[path] = Entry(_named(file, number, cells, "label"), part, _named(file, number, cells, "group"))
    present = frozenset(columns) & frozenset(Entry._fields)
    _check_filled(file, present, list(entries.values()))
    if "train" in called and "val" in called and TEST not in called:
        # As folders of these names are taken.
        entries = {path: one._replace(part=TEST if one.part == "val" else one.part) for path, one in entries.items()}
        return Metadata(entries, present, called["val"], not_read, empty)
    return Metadata(entries, present, not_read=not_read, empty=empty)


def _check_filled(file: Path, present: frozenset[str], entries: Sequence[Entry]) -> None:
    if not entries:
        raise InputError(f"{file}: has no line below the header; list the photographs, or remove the table")
    _check_groups(file, (entry.group for entry in entries))
    for column in ("label", "part"):
        if column in present and not any(getattr(entry, column) for entry in entries):
            raise InputError(f"{file}: the column {column} is empty; fill it in, or remove it")


def check_listed(folder: Path, metadata: Metadata, paths: Iterable[str]) -> None:
    """Check that each file of the table is in the folder.

    Raises:
        InputError: naming those that are not.
    """
    present: dict[str, str] = {}
    for path in paths:
        if (other := present.setdefault(_plain(path), path)) != path and _plain(path) in metadata.entries:
            raise InputError(f"{folder}: {other!a} and {path!a} differ only in Unicode form; rename one, or remove it")
    if missing := [path for path in metadata.entries if path not in present]:
        raise InputError(
            f"{folder / NAME}: {FILE}: {names(missing)} not among the photographs in {folder}; give paths relative to "
            f"that folder, such as {next(iter(sorted(present)), 'owl/1.jpg')!r}, or remove the lines"
        )


def write_groups(folder: Path, groups: Mapping[str, Iterable[str]]) -> Path:
    """Write a table of groups into a folder that has no table, and return its place.

    Args:
        folder: the user's.
        groups: the paths of the images of each group, relative to the folder.

    Raises:
        InputError: where there is a table, or where two groups differ only in case.
    """
    file = _place(folder)
    if file.exists():
        raise InputError(f"{file}: is there already; add the column group to it by hand, or move it away")
    _check_groups(file, groups)
    with paths.written_whole(file) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow((FILE, "group"))
        table.writerows(sorted((path, group) for group, members in groups.items() for path in members))
    return file


def _place(folder: Path) -> Path:
    """Return where the folder's table is, or would be."""
    return next((entry for entry in sorted(folder.iterdir()) if entry.name.casefold() == NAME), folder / NAME)


def _columns(file: Path, header: Sequence[str]) -> list[str]:
    """Return the names of the columns; "" for those that say nothing to us."""
    known = (FILE, *Entry._fields)
    columns = [name if (name := cell.strip().casefold()) in known else "" for cell in header]
    if FILE not in columns or not any(name in columns for name in Entry._fields):
        lacking = FILE if FILE not in columns else "label, part or group"
        raise InputError(
            f"{file}: no column {lacking}, its columns are {names(header) or 'none'}; name the column of the "
            f"paths {FILE} and add label, part or group, or rename the table if it is for something else"
        )
    if repeated := [name for name in known if columns.count(name) > 1]:
        raise InputError(f"{file}: two columns {repeated[0]}; remove one")
    return columns


def _check_groups(file: Path, groups: Iterable[str]) -> None:
    """Check that groups differ in more than case, where one of two was mistyped."""
    spellings: dict[str, str] = {}
    for group in groups:
        other = spellings.setdefault(group.casefold(), group)
        if other != group:
            raise InputError(f"{file}: the groups {other!r} and {group!r} differ only in case; spell both alike")


def _texts(columns: Sequence[str], line: Sequence[str]) -> dict[str, str]:
    """Return a line's texts by column."""
    return {name: unicodedata.normalize("NFC", cell.strip()) for name, cell in zip(columns, line, strict=True) if name}


def _part(file: Path, number: int, name: str) -> str:
    part = part_of(name)
    if name and not part:
        raise InputError(f"{file}: line {number}: part {name!r} is not one of train, val, test; name one of these")
    return part


def _named(file: Path, number: int, cells: dict[str, str], column: str) -> str:
    value = cells.get(column, "")
    fault = name_fault(value)
    if column == "label" and ("/" in value or "\\" in value or value in _NO_FOLDERS):
        fault = "cannot be the name of a folder"
    if fault:
        raise InputError(f"{file}: line {number}: {column} {quoted(value)} {fault}; give it another name")
    return value


def _plain(path: str) -> str:
    """Return a path with slashes and in one Unicode form: Windows and macOS write others."""
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))
