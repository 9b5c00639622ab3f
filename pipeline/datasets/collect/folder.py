"""The user's own photographs: class and part of every file, from its path alone.

Two layouts are supported. Class folders: one folder per class, with images in it or in folders below it. Parts:
folders named train and test, and optionally val, valid or validation, each with one folder per class. Hidden files
and files of operating systems (Thumbs.db, ...) are ignored; links are followed.
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


class _ClassFolder(NamedTuple):
    folder: Path
    label: str
    part: str


def check_location(folder: str) -> Path:
    """Check that the `folder` of params.yaml exists from any working directory of DVC, and is not empty.

    Raises:
        InputError: if it is relative and not the default, missing, a file, or empty.
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
        raise InputError(_empty_message(path))
    return path


def layout(folder: Path) -> Layout:
    """Return class and part of every file in the user's folder; no file is opened.

    Raises:
        InputError: if the folder has fewer than two classes, mixes classes and parts, or lacks a part or a class of a
            part; if a class has too few files; if two class names differ only in case or Unicode form.
    """
    class_folders = _class_folders(folder)
    _check_labels(folder, class_folders)
    _check_same_classes(folder, class_folders)
    files: list[ImageFile] = []
    loose = _loose_files(folder, class_folders)
    left_out = [LeftOut(_escaped(_relative(folder, file)), "lies beside the class folders") for file in loose]
    for class_folder, label, part in class_folders:
        inside = [ImageFile(file, _relative(folder, file), label, part) for file in _walk(class_folder)]
        _check_count(folder, len(inside), label, part)
        files += (file for file in inside if not _name_fault(file.path))
        misnamed = (file.path for file in inside if _name_fault(file.path))
        left_out += (LeftOut(_escaped(path), f"its name {_name_fault(path)}; rename it") for path in misnamed)
    return Layout(sorted(files, key=lambda file: file.path), sorted(left_out))


def _class_folders(folder: Path) -> list[_ClassFolder]:
    inside = _subfolders(folder)
    named = {entry: _PARTS[entry.name.casefold()] for entry in inside if entry.name.casefold() in _PARTS}
    # A class may be called train: a single such folder that holds images, not folders, is no part.
    if len(named) < 2 and not any(_subfolders(entry) for entry in named):
        return [_ClassFolder(entry, entry.name, "") for entry in inside]
    _check_parts(folder, inside, named)
    return [_ClassFolder(entry, entry.name, named[top]) for top in named for entry in _subfolders(top)]


def _check_parts(folder: Path, inside: list[Path], named: dict[Path, str]) -> None:
    others = [entry.name for entry in inside if entry not in named]
    if others:
        raise InputError(
            f"{folder}: {_names(others)} beside {_names(top.name for top in named)}; "
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
    """Check that train and test have all classes; validation may lack some."""
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
        raise InputError(_too_few_classes_message(folder, class_folders))
    # File systems differ in case and Unicode form: such a pair would be one class on some machines.
    spellings: dict[str, str] = {}
    for label in labels:
        if fault := _name_fault(label):
            raise InputError(f"{folder}: the class name {_escaped(label)!r} {fault}; rename its folder")
        other = spellings.setdefault(unicodedata.normalize("NFC", label).casefold(), label)
        if other != label:
            raise InputError(
                f"{folder}: the class names {other!a} and {label!a} differ only in case or Unicode form; "
                "rename one or put their images together"
            )


def _too_few_classes_message(folder: Path, class_folders: list[_ClassFolder]) -> str:
    if not class_folders:
        return f"{folder}: no class folders; put the images of each class into a folder of its own"
    only = class_folders[0]
    fault = f"{folder}: only one class, {_escaped(only.label)!r}; two are needed, one folder each"
    # Perhaps the folder above the right one was named.
    deeper = _subfolders(only.folder) if not only.part else []
    if len(deeper) < 2:
        return fault
    return f"{fault}; or give {only.folder}, which holds {_names(entry.name for entry in deeper)}"


def _check_count(folder: Path, files: int, label: str, part: str) -> None:
    needed = {"": 2, "val": 0}.get(part, 1)
    if files < needed:
        where = f" in {part}" if part else ""
        images = f"{files} image" if files else "no image"
        raise InputError(f"{folder}: the class {label!r} has {images}{where}; {needed} or more are needed")


def _empty_message(path: Path) -> str:
    if path.is_absolute():
        return f"folder: '{path}' is empty; put one folder a class into it"
    original = paths.root() / path
    # DVC's queued and --temp runs work in a copy of the repository, without files that git ignores.
    if paths.root() != Path.cwd().resolve() and original.is_dir() and _subfolders(original):
        return (
            f"{path} is empty in this copy of the project, since files outside git do not come along; "
            f"name them by their own place: -S \"folder='{original}'\""
        )
    return f"{path} is empty; put one folder a class into it, or name another: -S data=folder -S folder=/path"


def _listed(folder: Path, ignored: Iterable[str] = ()) -> list[Path]:
    skipped = _SYSTEM_FILES | set(ignored)
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entry for entry in entries if entry.name.casefold() not in skipped)


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in _listed(folder) if entry.is_dir()]


def _loose_files(folder: Path, class_folders: list[_ClassFolder]) -> list[Path]:
    """Return the files next to the class folders."""
    parents = {entry.folder.parent for entry in class_folders} - {folder}
    loose = [entry for entry in _listed(folder, _OUR_FILES) if not entry.is_dir()]
    return loose + [entry for parent in parents for entry in _listed(parent) if not entry.is_dir()]


def _walk(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield all files below a folder; a link to a folder above itself is not followed."""
    resolved = folder.resolve()
    if resolved in above:
        return
    for entry in _listed(folder):
        if entry.is_dir():
            yield from _walk(entry, above | {resolved})
        else:
            yield entry


def _relative(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _name_fault(name: str) -> str:
    """Describe why a name cannot be in a CSV row; return an empty string if it can.

    Names on disk are bytes; Python decodes those that are not UTF-8 to lone surrogates.
    """
    if name.isprintable():
        return ""
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return "is not UTF-8"
    return "has control characters" if any(category(letter) == "Cc" for letter in name) else ""


def _escaped(name: str) -> str:
    """Return a name on one line, with control characters and invalid bytes as escapes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(f"\\x{ord(letter):02x}" if category(letter) == "Cc" else letter for letter in text)


def _names(names: Iterable[str]) -> str:
    quoted = [repr(_escaped(name)) for name in sorted(names)]
    more = f" and {len(quoted) - 3} more" if len(quoted) > 3 else ""
    return ", ".join(quoted[:3]) + more
