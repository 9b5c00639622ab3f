"""The user's own photographs: which file is of which class and part, told from names and places alone.

Two layouts are understood. Class folders: one folder a class, images in it or in folders below it. Parts:
folders named train and test, and perhaps val, valid or validation, each with one folder a class. Hidden files
and what systems leave behind (Thumbs.db, ...) are passed over; links are followed.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from unicodedata import category

from pipeline.core import paths
from pipeline.core.errors import InputError

_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "icon\r", "__macosx"}
_OUR_FILES = {"readme.md"}


class Found(NamedTuple):
    """One file of a class.

    Attributes:
        file: where it is.
        path: its place in the user's folder, with slashes.
        label: its class, spelled as the class's folder is.
        part: train, val or test; empty where the folder has no parts.
    """

    file: Path
    path: str
    label: str
    part: str


class LeftOut(NamedTuple):
    """One file that cannot be used, told from its name or place, and the reason."""

    path: str
    reason: str


class Layout(NamedTuple):
    """What a folder holds, both sorted by path."""

    files: list[Found]
    left_out: list[LeftOut]


class _ClassFolder(NamedTuple):
    folder: Path
    label: str
    part: str


def check_location(folder: str) -> Path:
    """Check that the `folder` of params.yaml is found from wherever DVC runs a stage and holds something.

    Raises:
        InputError: where it is relative and not the default, missing, a file, or empty.
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
    if not _listed(path, _OUR_FILES):
        raise InputError(_empty(path))
    return path


def layout(folder: Path) -> Layout:
    """Tell class and part of every file in the user's folder; no file is opened.

    Raises:
        InputError: where the folder holds no classes or only one, mixes classes and parts, lacks a part or,
            in a part, a class, or where a class has too few files or two classes have the same name but for
            case or Unicode form.
    """
    class_folders = _class_folders(folder)
    _check_labels(folder, class_folders)
    _check_same_classes(folder, class_folders)
    files: list[Found] = []
    beside = _loose(folder, class_folders)
    left_out = [LeftOut(_shown(_below(folder, file)), "lies beside the class folders") for file in beside]
    for place, label, part in class_folders:
        inside = [Found(file, _below(folder, file), label, part) for file in _walk(place)]
        _check_count(folder, len(inside), label, part)
        files += (found for found in inside if not _fault(found.path))
        unnamed = (found.path for found in inside if _fault(found.path))
        left_out += (LeftOut(_shown(path), f"its name {_fault(path)}; rename it") for path in unnamed)
    return Layout(sorted(files, key=lambda found: found.path), sorted(left_out))


def _class_folders(folder: Path) -> list[_ClassFolder]:
    inside = _subfolders(folder)
    named = {entry: _PARTS[entry.name.casefold()] for entry in inside if entry.name.casefold() in _PARTS}
    # A class may be called train; one such folder that holds the images themselves is no part.
    if len(named) < 2 and not any(_subfolders(entry) for entry in named):
        return [_ClassFolder(entry, entry.name, "") for entry in inside]
    _check_parts(folder, inside, named)
    return [_ClassFolder(entry, entry.name, named[top]) for top in named for entry in _subfolders(top)]


def _check_parts(folder: Path, inside: list[Path], named: dict[Path, str]) -> None:
    beside = [entry.name for entry in inside if entry not in named]
    if beside:
        raise InputError(
            f"{folder}: {_names(beside)} beside {_names(top.name for top in named)}; "
            "either class folders alone, or train and test with the class folders in them"
        )
    for part in ("train", "test", "val"):
        tops = [top.name for top, other in named.items() if other == part]
        if len(tops) > 1:
            raise InputError(f"{folder}: {_names(tops)} are the same part; keep one of them")
        if not tops and part != "val":
            raise InputError(
                f"{folder}: {_names(top.name for top in named)} without a part named {part}; add it, "
                "or put all class folders into one folder without parts and they are divided here"
            )
    for top in named:
        if not _subfolders(top):
            raise InputError(f"{folder}: the part {top.name!r} holds no class folders; give it one a class")


def _check_same_classes(folder: Path, class_folders: list[_ClassFolder]) -> None:
    """A validation part may lack a class; the others may not."""
    if not any(entry.part for entry in class_folders):
        return
    labels = {entry.label for entry in class_folders}
    for part in ("train", "test"):
        missing = labels - {entry.label for entry in class_folders if entry.part == part}
        if missing:
            raise InputError(
                f"{folder}: the part {part} lacks the class {_names(missing)}; "
                "every class needs images in train and in test"
            )


def _check_labels(folder: Path, class_folders: list[_ClassFolder]) -> None:
    labels = sorted({entry.label for entry in class_folders})
    if len(labels) < 2:
        raise InputError(_too_few_classes(folder, class_folders))
    spellings: dict[str, str] = {}
    for label in labels:
        if fault := _fault(label):
            raise InputError(f"{folder}: the class name {_shown(label)!r} {fault}; rename its folder")
        other = spellings.setdefault(unicodedata.normalize("NFC", label).casefold(), label)
        if other != label:
            raise InputError(
                f"{folder}: the class names {other!a} and {label!a} differ only in case or Unicode form; "
                "rename one or put their images together"
            )


def _too_few_classes(folder: Path, class_folders: list[_ClassFolder]) -> str:
    if not class_folders:
        return f"{folder}: no class folders; put the images of each class into a folder of its own"
    only = class_folders[0]
    deeper = _subfolders(only.folder) if not only.part else []
    told = f"{folder}: only one class, {_shown(only.label)!r}; two are needed, one folder each"
    inside = _names(entry.name for entry in deeper)
    return f"{told}; or give {only.folder}, which holds {inside}" if len(deeper) > 1 else told


def _check_count(folder: Path, files: int, label: str, part: str) -> None:
    needed = {"": 2, "val": 0}.get(part, 1)
    if files < needed:
        where = f" in {part}" if part else ""
        held = f"{files} image" if files else "no image"
        raise InputError(f"{folder}: the class {label!r} has {held}{where}; {needed} or more are needed")


def _empty(path: Path) -> str:
    if path.is_absolute():
        return f"folder: '{path}' is empty; put one folder a class into it"
    users = paths.root() / path
    if paths.root() != Path.cwd().resolve() and users.is_dir() and _subfolders(users):
        return (
            f"{path} is empty in this copy of the project, since files outside git do not come along; "
            f"name them by their own place: -S \"folder='{users}'\""
        )
    return f"{path} is empty; put one folder a class into it, or name another: -S data=folder -S folder=/path"


def _listed(folder: Path, ignored: Iterable[str] = ()) -> list[Path]:
    passed_over = _SYSTEM_FILES | set(ignored)
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entry for entry in entries if entry.name.casefold() not in passed_over)


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in _listed(folder) if entry.is_dir()]


def _loose(folder: Path, class_folders: list[_ClassFolder]) -> list[Path]:
    parents = {entry.folder.parent for entry in class_folders} - {folder}
    beside = [entry for entry in _listed(folder, _OUR_FILES) if not entry.is_dir()]
    return beside + [entry for parent in parents for entry in _listed(parent) if not entry.is_dir()]


def _walk(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """All files below; a link to a folder that it lies in is not followed round and round."""
    place = folder.resolve()
    if place in above:
        return
    for entry in _listed(folder):
        if entry.is_dir():
            yield from _walk(entry, above | {place})
        else:
            yield entry


def _below(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _fault(name: str) -> str:
    """Why a name cannot be in a table of one line an image; empty where it can.

    Names on disk are bytes; what is not UTF-8 in them comes as lone surrogates.
    """
    if name.isprintable():
        return ""
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return "is not UTF-8"
    return "has control characters" if any(category(letter) == "Cc" for letter in name) else ""


def _shown(name: str) -> str:
    """A name on one line, what cannot be shown as its number."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(f"\\x{ord(letter):02x}" if category(letter) == "Cc" else letter for letter in text)


def _names(names: Iterable[str]) -> str:
    shown = [repr(_shown(name)) for name in sorted(names)]
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return ", ".join(shown[:3]) + more
