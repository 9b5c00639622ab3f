"""The user's own photographs: class and part of every file, from its path alone.

Two layouts are supported. Class folders: one folder per class, with images in it or in folders below it. Parts:
folders named train and test, optionally val, each with one folder per class; `parts` has their other names. Hidden
files and files of operating systems (Thumbs.db, ...) are ignored; links are followed. A table metadata.csv may give the
classes, the parts or both in place of folders, and groups of images that stay together.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.datasets.collect import empty_cells, metadata, parts
from pipeline.datasets.collect.left_out import OUTSIDE
from pipeline.datasets.collect.listing import (
    OUR_FILES,
    escaped,
    link_notes,
    listed,
    name_fault,
    names,
    quoted,
    subfolders,
    walk,
)
from pipeline.datasets.collect.metadata import Metadata
from pipeline.datasets.collect.parts import ClassFolder

# Folders in each other, each alone in its folder, that are looked into for the class folders; links may go in circles.
DEEPEST_WRAPPING = 4
# Of classes that are refused, so many are named.
NAMED = 3


class ImageFile(NamedTuple):
    """One file of a class.

    Attributes:
        file: its path on disk.
        path: relative to the user's folder, with slashes.
        label: class, spelled as the class's folder, or as in the table.
        part: train, val or test; empty if the folder has no parts.
        group: of the images that stay in one part; empty if the table gives none.
    """

    file: Path
    path: str
    label: str
    part: str
    group: str = ""


class LeftOut(NamedTuple):
    """One file whose name or location rules it out, and the reason."""

    path: str
    reason: str


class Layout(NamedTuple):
    """The contents of a folder.

    Attributes:
        files: what can be used, sorted by path.
        left_out: what cannot, sorted by path.
        notes: what is worth saying of the folder, in lines.
        tested: what is said of validation images that are taken as the test part; "" where none are.
    """

    files: list[ImageFile]
    left_out: list[LeftOut]
    notes: tuple[str, ...] = ()
    tested: str = ""


def layout(folder: Path) -> Layout:
    """Return class and part of every file in the user's folder; no file is opened but the table.

    Raises:
        InputError: if the folder has fewer than two classes, mixes classes and parts, or lacks a part or a class of a
            part; if a class has too few files; if two class names differ only in case or Unicode form; if the table
            cannot be used.
    """
    table = metadata.read(folder)
    if table and table.has("label"):
        classes, every, loose = _by_table(folder, table)
        way_out = f"add photographs of it to {metadata.NAME}, or empty its labels there"
    else:
        classes, every, loose = _by_folders(folder, table)
        way_out = "put photographs into that folder, or move it elsewhere"
    parts.check_same_classes(folder, classes)
    if table:
        metadata.check_listed(folder, table, [file.path for file in every])
    left_out = [LeftOut(escaped(_relative(folder, file)), OUTSIDE) for file in loose]
    unlisted = {file.path: reason for file in every if table and (reason := table.missing(file.path))}
    left_out += [LeftOut(escaped(path), reason) for path, reason in unlisted.items()]
    inside = [file for file in every if file.path not in unlisted]
    misnamed = [file.path for file in inside if name_fault(file.path)]
    left_out += [LeftOut(escaped(path), f"its name {name_fault(path)}; rename it") for path in misnamed]
    if misnamed:
        way_out = f"rename what is left out for its name, such as {quoted(misnamed[0])}, or {way_out}"
    files = sorted((file for file in inside if not name_fault(file.path)), key=lambda file: file.path)
    _check_counts(folder, classes, files, way_out=way_out)
    return Layout(files, sorted(left_out), tuple(_notes(folder, table)), _tested(classes, table))


def _by_folders(folder: Path, table: Metadata | None) -> tuple[list[ClassFolder], list[ImageFile], list[Path]]:
    """Return the classes, their files, and the files next to the class folders; the table may have parts and groups."""
    classes = parts.class_folders(folder)
    _check_labels(folder, [entry.label for entry in classes], too_few=lambda: _too_few_classes_message(folder, classes))
    loose = _loose_files(folder, classes)
    if not table:
        return classes, [_file(folder, file, *one[1:]) for one in classes for file in walk(one.folder)], loose
    if table.has("part") and any(one.part for one in classes):
        raise InputError(
            f"{folder / metadata.NAME}: has a column part, and the folders are parts too; remove the column"
        )
    loose = [file for file in loose if file.name.casefold() != metadata.NAME]
    files = []
    for one in classes:
        for path in walk(one.folder):
            entry = table.entry(_relative(folder, path))
            files.append(_file(folder, path, one.label, entry.part or one.part, entry.group))
    in_parts = {ClassFolder(one.folder, one.label, part) for one in classes for part in table.parts or [one.part]}
    return sorted(in_parts), files, loose


def _by_table(folder: Path, table: Metadata) -> tuple[list[ClassFolder], list[ImageFile], list[Path]]:
    """Return the classes of the table, as if they were folders, and all files; none is loose."""
    labels = sorted({entry.label for entry in table.entries.values()} - {""})
    too_few = f"{folder / metadata.NAME}: number of different labels: {len(labels)}; two or more are needed"
    _check_labels(folder, labels, too_few=lambda: "; ".join([too_few, *empty_cells.notes(table.empty, metadata.NAME)]))
    files = []
    inside = listed(folder, {*OUR_FILES, metadata.NAME})
    tops = [top.name for top in inside if top.is_dir() and parts.part_of(top.name)]
    if len(tops) > 1 and not table.has("part"):
        raise InputError(
            f"{folder / metadata.NAME}: has labels and no column part, and the folders {names(tops)} are parts; "
            "add the column part, or remove the column label, and the class folders in the parts are used"
        )
    for top in inside:
        for path in walk(top) if top.is_dir() else [top]:
            files.append(_file(folder, path, *table.entry(_relative(folder, path))))
    parts_of = table.parts or [""]
    return [ClassFolder(folder / part / label, label, part) for part in parts_of for label in labels], files, []


def _file(folder: Path, file: Path, label: str, part: str, group: str = "") -> ImageFile:
    return ImageFile(file, _relative(folder, file), label, part, group)


def _check_counts(folder: Path, classes: Sequence[ClassFolder], files: Sequence[ImageFile], *, way_out: str) -> None:
    """Check that each class has enough files in each part."""
    counts = Counter((file.label, file.part) for file in files)
    short = [line for one in classes for line in _shortage(counts[one.label, one.part], one.label, one.part)]
    if not short:
        short = _lone_groups(files)
        way_out = f"name two groups in {metadata.NAME}, or none"
    if short:
        more = f" and {len(short) - NAMED:,} more such" if len(short) > NAMED else ""
        raise InputError(f"{folder}: {'; '.join(short[:NAMED])}{more}; {way_out}")


def _lone_groups(files: Sequence[ImageFile]) -> list[str]:
    """Return a line for each class whose files are all of one group, which cannot be divided; none where parts are."""
    groups: dict[str, set[str]] = defaultdict(set)
    for file in files:
        groups[file.label].add(file.group or file.path)
    return [
        f"all images of the class {label!r} are of the group {of_class.pop()!r}, which cannot be divided"
        for label, of_class in sorted(groups.items())
        if len(of_class) == 1 and not any(file.part for file in files)
    ]


def _notes(folder: Path, table: Metadata | None) -> Iterator[str]:
    """Yield what is worth saying of a folder that can be used."""
    yield from table.notes if table else ()
    yield from link_notes(folder)


def _tested(classes: Sequence[ClassFolder], table: Metadata | None) -> str:
    if table and table.tested:
        return parts.remark(table.tested, kind=f"part in {metadata.NAME}")
    folder = parts.tested(classes)
    return parts.remark(folder) if folder else ""


def _check_labels(folder: Path, given: Iterable[str], *, too_few: Callable[[], str]) -> None:
    labels = sorted(set(given))
    if len(labels) < 2:
        raise InputError(too_few())
    # File systems differ in case and Unicode form: such a pair would be one class on some machines. Nobody sees spaces
    # at an end and characters without a shape.
    spellings: dict[str, str] = {}
    for label in labels:
        if fault := name_fault(label):
            raise InputError(f"{folder}: the class name {quoted(label)} {fault}; rename the class")
        seen = "".join(letter for letter in label if unicodedata.category(letter) != "Cf").strip()
        other = spellings.setdefault(unicodedata.normalize("NFC", seen).casefold(), label)
        if other != label:
            raise InputError(
                f"{folder}: the class names {other!a} and {label!a} differ only in case, Unicode form or what nobody "
                "sees; rename one or put their images together"
            )


def _too_few_classes_message(folder: Path, class_folders: list[ClassFolder]) -> str:
    if not class_folders:
        return f"{folder}: no class folders; put the images of each class into a folder of its own"
    only = class_folders[0]
    fault = f"{folder}: only one class, {quoted(only.label)}; two are needed, one folder each"
    if only.part:
        return fault
    # Perhaps a folder above the right one was named, as that which an archive unpacks to.
    place, inside = only.folder, subfolders(only.folder)
    for _ in range(DEEPEST_WRAPPING):
        if len(inside) == 1:
            place, inside = inside[0], subfolders(inside[0])
    return (
        f"{fault}; or give {place}, which holds {names(entry.name for entry in inside)}" if len(inside) > 1 else fault
    )


def _shortage(files: int, label: str, part: str) -> list[str]:
    """Return the line of a class with too few files; none where they are enough."""
    needed = {"": 2, "val": 0}.get(part, 1)
    if files >= needed:
        return []
    images = f"{files} image" if files else "no image"
    return [f"the class {label!r} has {images}{f' in {part}' if part else ''}; {needed} or more are needed"]


def _loose_files(folder: Path, class_folders: list[ClassFolder]) -> list[Path]:
    """Return the files next to the class folders."""
    parents = {entry.folder.parent for entry in class_folders} - {folder}
    loose = [entry for entry in listed(folder, OUR_FILES) if not entry.is_dir()]
    return loose + [entry for parent in parents for entry in listed(parent) if not entry.is_dir()]


def _relative(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()
