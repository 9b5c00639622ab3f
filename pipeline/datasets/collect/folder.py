"""The user's own photographs: class and part of every file, from its path alone.

Two layouts are supported. Class folders: one folder per class, with images in it or in folders below it. Parts:
folders named train and test, optionally val, each with one folder per class; `parts` has their other names. Hidden
files and files of operating systems (Thumbs.db, ...) are ignored; links are followed.
"""

import unicodedata
from pathlib import Path
from typing import NamedTuple

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.collect import parts
from pipeline.datasets.collect.left_out import OUTSIDE
from pipeline.datasets.collect.listing import (
    OUR_FILES,
    escaped,
    linked_folders,
    listed,
    name_fault,
    names,
    subfolders,
    walk,
)
from pipeline.datasets.collect.parts import ClassFolder

# Folders in each other, each alone in its folder, that are looked into for the class folders; links may go in circles.
DEEPEST_WRAPPING = 4


class ImageFile(NamedTuple):
    """One file of a class.

    Attributes:
        file: its path on disk.
        path: relative to the user's folder, with slashes.
        label: class, spelled as the class's folder.
        part: train, val or test; empty if the folder has no parts.
    """

    file: Path
    path: str
    label: str
    part: str


class LeftOut(NamedTuple):
    """One file whose name or location rules it out, and the reason."""

    path: str
    reason: str


class Layout(NamedTuple):
    """The files of a folder, usable and not, both sorted by path; and what else is worth saying of it, in lines."""

    files: list[ImageFile]
    left_out: list[LeftOut]
    notes: tuple[str, ...] = ()


def check_location(folder: str) -> Path:
    """Check that the `folder` of params.yaml exists from any working directory of DVC, and is not empty.

    Raises:
        InputError: if it is relative and not the default, missing, a file, empty, or around this project.
    """
    path = Path(folder)
    if path != paths.OWN_FOLDER and not path.is_absolute():
        raise InputError(
            f"folder: {folder!r} is relative, which queued and --temp runs would not find; "
            f"give an absolute path such as {paths.root() / path.expanduser()}"
        )
    if not path.is_dir():
        fault = "is not a folder" if path.exists() else "does not exist"
        raise InputError(f"folder: {folder!r} {fault}; give the folder that holds the class folders")
    if path.is_absolute() and paths.root().is_relative_to(path.resolve()):
        raise InputError(
            f"folder: {folder!r} holds this project itself, whose files would be images; "
            "put the class folders into a folder of their own"
        )
    if not listed(path, OUR_FILES):
        raise InputError(_empty_message(path))
    return path


def layout(folder: Path) -> Layout:
    """Return class and part of every file in the user's folder; no file is opened.

    Raises:
        InputError: if the folder has fewer than two classes, mixes classes and parts, or lacks a part or a class of a
            part; if a class has too few files; if two class names differ only in case or Unicode form.
    """
    class_folders = parts.class_folders(folder)
    _check_labels(folder, class_folders)
    parts.check_same_classes(folder, class_folders)
    files: list[ImageFile] = []
    loose = _loose_files(folder, class_folders)
    left_out = [LeftOut(escaped(_relative(folder, file)), OUTSIDE) for file in loose]
    short: list[str] = []
    for class_folder, label, part in class_folders:
        inside = [ImageFile(file, _relative(folder, file), label, part) for file in walk(class_folder)]
        short += _shortage(len(inside), label, part)
        files += (file for file in inside if not name_fault(file.path))
        misnamed = (file.path for file in inside if name_fault(file.path))
        left_out += (LeftOut(escaped(path), f"its name {name_fault(path)}; rename it") for path in misnamed)
    if short:
        more = f" (and {len(short) - 1:,} more such)" if len(short) > 1 else ""
        raise InputError(f"{folder}: {short[0]}{more}; put photographs into that folder, or move it elsewhere")
    notes = tuple(parts.remark(name) for name in [parts.tested(class_folders)] if name)
    if link := next(linked_folders(folder), None):
        notes += (f"{escaped(_relative(folder, link))} is a link: DVC sees no change behind it, so copy what changes",)
    return Layout(sorted(files, key=lambda file: file.path), sorted(left_out), notes)


def _check_labels(folder: Path, class_folders: list[ClassFolder]) -> None:
    labels = sorted({entry.label for entry in class_folders})
    if len(labels) < 2:
        raise InputError(_too_few_classes_message(folder, class_folders))
    # File systems differ in case and Unicode form: such a pair would be one class on some machines.
    spellings: dict[str, str] = {}
    for label in labels:
        if fault := name_fault(label):
            raise InputError(f"{folder}: the class name {escaped(label)!r} {fault}; rename its folder")
        other = spellings.setdefault(unicodedata.normalize("NFC", label).casefold(), label)
        if other != label:
            raise InputError(
                f"{folder}: the class names {other!a} and {label!a} differ only in case or Unicode form; "
                "rename one or put their images together"
            )


def _too_few_classes_message(folder: Path, class_folders: list[ClassFolder]) -> str:
    if not class_folders:
        return f"{folder}: no class folders; put the images of each class into a folder of its own"
    only = class_folders[0]
    fault = f"{folder}: only one class, {escaped(only.label)!r}; two are needed, one folder each"
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


def _empty_message(path: Path) -> str:
    if path.is_absolute():
        return f"folder: '{path}' is empty; put one folder a class into it"
    original = paths.root() / path
    # DVC's queued and --temp runs work in a copy of the repository, without files that git ignores.
    if paths.root() != Path.cwd().resolve() and original.is_dir() and subfolders(original):
        return (
            f"{path} is empty in this copy of the project, since files outside git do not come along; "
            f"name them by their own place: -S \"folder='{original}'\""
        )
    return f"{path} is empty; put one folder a class into it, or name another: -S data=folder -S folder=/path"


def _loose_files(folder: Path, class_folders: list[ClassFolder]) -> list[Path]:
    """Return the files next to the class folders."""
    parents = {entry.folder.parent for entry in class_folders} - {folder}
    loose = [entry for entry in listed(folder, OUR_FILES) if not entry.is_dir()]
    return loose + [entry for parent in parents for entry in listed(parent) if not entry.is_dir()]


def _relative(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()
