"""Folders that are parts, train, val and test under the names that people give them, with class folders in them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.datasets.collect.listing import names, subfolders

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}

# The part whose images are for the end alone.
TEST = "test"


class ClassFolder(NamedTuple):
    """The folder of a class, in a part or, where the set has none, in no part: ""."""

    folder: Path
    label: str
    part: str


def part_of(name: str) -> str:
    """Return the part that a folder's name stands for, "" for none.

    >>> part_of("Training"), part_of("val"), part_of("test_set"), part_of("owl")
    ('train', 'val', 'test', '')
    """
    plain = name.casefold()
    return PARTS.get(plain) or PARTS.get(plain.removesuffix("set").rstrip("_- "), "")


def class_folders(folder: Path) -> list[ClassFolder]:
    """Return the class folders, each with its part.

    Raises:
        InputError: if a folder mixes classes and parts, lacks a part, or holds the parts one folder further down.
    """
    inside = subfolders(folder)
    named = {entry: part for entry in inside if (part := part_of(entry.name))}
    # A class may be called train: a single such folder that holds images, not folders, is no part.
    if len(named) < 2 and not any(subfolders(entry) for entry in named):
        _check_hold_no_parts(folder, inside)
        return [ClassFolder(entry, entry.name, "") for entry in inside]
    if "test" not in named.values() and "train" in named.values():
        named = {entry: "test" if part == "val" else part for entry, part in named.items()}
    _check_parts(folder, inside, named)
    return [ClassFolder(entry, entry.name, named[top]) for top in named for entry in subfolders(top)]


def tested(classes: Iterable[ClassFolder]) -> str:
    """Return the name of the validation folder that is taken as the test part; "" where none is."""
    return next((name for one in classes if one.part == TEST and part_of(name := one.folder.parent.name) == "val"), "")


def remark(name: str, kind: str = "folder") -> str:
    """Return what is said of validation images, a folder or another `kind` of part, that are taken as the test part."""
    return f"{name!r} is taken as the test part, as no {kind} is named test; it is opened once, after training"


def check_same_classes(folder: Path, classes: Sequence[ClassFolder]) -> None:
    """Check that train and test have all classes; validation may lack some.

    Raises:
        InputError: naming what is missing.
    """
    if not any(entry.part for entry in classes):
        return
    labels = {entry.label for entry in classes}
    for part in ("train", "test"):
        if missing := labels - {entry.label for entry in classes if entry.part == part}:
            where = next((entry.folder.parent.name for entry in classes if entry.part == part), part)
            raise InputError(
                f"{folder}: the part {where} lacks the class {names(missing)}; "
                "every class needs images in train and in test"
            )


def _check_hold_no_parts(folder: Path, inside: list[Path]) -> None:
    """Check that the parts are not one folder further down, as in images/train or owl/train."""
    below = {entry: [sub.name for sub in subfolders(entry) if part_of(sub.name)] for entry in inside}
    holders = [entry for entry, parts in below.items() if len(parts) > 1]
    if len(holders) == 1:
        raise InputError(
            f"{folder}: the parts {names(below[holders[0]])} are in {holders[0].name!r}; give {holders[0]}"
        )
    if holders:
        raise InputError(
            f"{folder}: {names(entry.name for entry in holders)} hold the parts {names(below[holders[0]])}; "
            "put the parts on top and one folder a class into each, such as train/owl"
        )


def _check_parts(folder: Path, tops: list[Path], named: dict[Path, str]) -> None:
    others = [entry.name for entry in tops if entry not in named]
    if others:
        raise InputError(
            f"{folder}: {names(others)} beside {names(top.name for top in named)}; "
            "either class folders alone, or train and test with the class folders in them, and nothing else"
        )
    for part in ("train", "val", "test"):
        same = [top.name for top, other in named.items() if other == part]
        if len(same) > 1:
            raise InputError(f"{folder}: {names(same)} are the same part; keep one of them")
    for part in ("train", "test"):
        if part not in named.values():
            whole = next(filter(subfolders, named), None)
            way_out = f", or give {whole}, whose class folders are divided here" if whole else ""
            raise InputError(
                f"{folder}: {names(top.name for top in named)} without a part named {part}; add it{way_out}"
            )
    for top, part in named.items():
        inside = subfolders(top)
        if not inside:
            raise InputError(f"{folder}: the part {top.name!r} holds no class folders; {_way_out(named, part)}")
        if len(inside) == 1 and len(subfolders(inside[0])) > 1:
            lone = inside[0].name
            raise InputError(f"{folder}: the part {top.name!r} holds {lone!r} alone; move the folders in {lone!r} up")


def _way_out(named: dict[Path, str], part: str) -> str:
    """Return what to do about a part without classes: images without labels test nothing."""
    train = next((top for top, other in named.items() if other == "train" and subfolders(top)), None)
    if part != "test" or not train:
        return "give it one a class"
    if "val" in named.values():
        val = next(top.name for top, other in named.items() if other == "val")
        return f"its images have no labels: give it one a class, or move it away, and {val!r} is tested"
    return f"its images have no labels: give it one a class, or give {train}, whose class folders are divided here"
