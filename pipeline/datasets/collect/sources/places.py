"""Helpers of the readers of published sets: search for a set's files and folders, and read its lists."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.datasets.collect.folder import ImageFile, Layout

WHOLE = "use the whole set as it is published"


class Named(NamedTuple):
    """One image of a set's own lists: its path below the images' folder, its class, its part."""

    name: str
    label: str
    part: str


def file_named(folder: Path, name: str) -> Path:
    """Return the file of a name that is least deep below a folder.

    Raises:
        InputError: if there is none.
    """
    files = [path for path in _named(folder, name) if path.is_file()]
    if not files:
        raise InputError(f"{name} is missing; {WHOLE}")
    return files[0]


def folder_named(folder: Path, name: str) -> Path:
    """Return the folder of a name that is least deep: `folder` itself, or one below it.

    If it contains a folder of the same name, as some archives do, the inner one is returned.

    Raises:
        InputError: if there is none.
    """
    inside = [path for path in _named(folder, name) if path.is_dir()]
    folders = [folder, *inside] if folder.name == name else inside
    if not folders:
        raise InputError(f"the folder {name} is missing; {WHOLE}")
    twin = folders[0] / name
    return twin if twin.is_dir() else folders[0]


def layout(folder: Path, images: Sequence[Named], *, prefix: str = "") -> Layout:
    """Return the files of a list.

    Args:
        folder: the folder of the images.
        images: the list.
        prefix: put before the paths, to keep two lists with equal names apart.

    Raises:
        InputError: if a file is missing or listed twice, or a name leads out of the folder.
    """
    # Sorted, so that the manifest does not depend on the order of the list.
    listed = sorted(images, key=lambda image: image.name)
    files = [ImageFile(_inside(folder, image.name), prefix + image.name, image.label, image.part) for image in listed]
    missing = [file for file in files if not file.file.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(f"{missing[0].path!r} is in the list of the set, but not in its folder{more}; {WHOLE}")
    twice = [name for name, times in Counter(file.path for file in files).items() if times > 1]
    if twice:
        raise InputError(f"{twice[0]!r} is in the list of the set twice; {WHOLE}")
    return Layout(files, [])


def lines(folder: Path, name: str) -> list[str]:
    """Return the lines of a text list that are not empty.

    Raises:
        InputError: if the list is missing or is not UTF-8.
    """
    try:
        text = file_named(folder, name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text; {WHOLE}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def without_prefix(names: Iterable[str], prefix: str) -> dict[str, str]:
    """Map names to names without a prefix (a regular expression), where those are unique.

    >>> without_prefix(["001.cat", "002.dog"], r"[0-9]+[.]")
    {'001.cat': 'cat', '002.dog': 'dog'}
    >>> without_prefix(["001.cat", "002.cat"], r"[0-9]+[.]")
    {'001.cat': '001.cat', '002.cat': '002.cat'}
    """
    short = {name: re.sub(rf"\A(?:{prefix})", "", name) for name in names}
    # Without case, as class folders must differ on every file system.
    times = Counter(label.casefold() for label in short.values())
    return {name: label if label and times[label.casefold()] == 1 else name for name, label in short.items()}


def _named(folder: Path, name: str) -> list[Path]:
    """Return files and folders of a name, the least deep first."""
    # macOS puts a shadow of every file into its archives.
    matches = (path for path in folder.rglob(name) if "__MACOSX" not in path.parts)
    return sorted(matches, key=lambda path: (len(path.parts), path))


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a listed file; refuse one that leads out of the folder, as lists are untrusted."""
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name or "\0" in name:
        raise InputError(f"{name!r} is in the list of the set, but leads out of the set's folder; {WHOLE}")
    return folder / place
