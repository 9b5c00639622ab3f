"""What the readers of published sets share: where a file or folder of the set is, and which files a list names."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.datasets.collect.folder import Found, Layout

WHOLE = "take the whole set as it is published"


class Named(NamedTuple):
    """One image as a set's own lists name it: its place below the images' folder, its class, its part."""

    name: str
    label: str
    part: str


def file_named(folder: Path, name: str) -> Path:
    """The file of this name, the one that lies highest below a folder.

    Raises:
        InputError: where there is none.
    """
    files = [path for path in _named(folder, name) if path.is_file()]
    if not files:
        raise InputError(f"{name} is missing; {WHOLE}")
    return files[0]


def folder_named(folder: Path, name: str) -> Path:
    """The folder of this name, the one that lies highest: the given one itself, or one below it.

    Where an archive packs a folder into one of the same name, it is the inner one.

    Raises:
        InputError: where there is none.
    """
    inside = [path for path in _named(folder, name) if path.is_dir()]
    folders = [folder, *inside] if folder.name == name else inside
    if not folders:
        raise InputError(f"the folder {name} is missing; {WHOLE}")
    twin = folders[0] / name
    return twin if twin.is_dir() else folders[0]


def layout(folder: Path, images: Sequence[Named], *, below: str = "") -> Layout:
    """The files that a list names.

    Args:
        folder: where the images are.
        images: what the list names.
        below: what to put before the names, where two lists name files alike.

    Raises:
        InputError: for the first file that is not there, a name that leads out of the folder, or one named twice.
    """
    listed = sorted(images, key=lambda image: image.name)
    files = [Found(_inside(folder, image.name), below + image.name, image.label, image.part) for image in listed]
    missing = [found for found in files if not found.file.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(f"{missing[0].path!r} is listed, but not there{more}; {WHOLE}")
    twice = [name for name, times in Counter(found.path for found in files).items() if times > 1]
    if twice:
        raise InputError(f"{twice[0]!r} is listed twice; {WHOLE}")
    return Layout(files, [])


def lines(folder: Path, name: str) -> list[str]:
    """The lines of a text list that hold anything.

    Raises:
        InputError: where the list is missing or is no text.
    """
    try:
        text = file_named(folder, name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not text; {WHOLE}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def shortened(names: Iterable[str], superfluous: str) -> dict[str, str]:
    """Names without what the pattern finds at their start, where they stay unique without.

    >>> shortened(["001.cat", "002.dog"], r"[0-9]+[.]")
    {'001.cat': 'cat', '002.dog': 'dog'}
    >>> shortened(["001.cat", "002.cat"], r"[0-9]+[.]")
    {'001.cat': '001.cat', '002.cat': '002.cat'}
    """
    short = {name: re.sub(rf"\A(?:{superfluous})", "", name) for name in names}
    times = Counter(label.casefold() for label in short.values())
    return {name: label if label and times[label.casefold()] == 1 else name for name, label in short.items()}


def _named(folder: Path, name: str) -> list[Path]:
    """What has this name, the highest first; a Mac's archives hold a shadow of every file."""
    places = (path for path in folder.rglob(name) if "__MACOSX" not in path.parts)
    return sorted(places, key=lambda path: (len(path.parts), path))


def _inside(folder: Path, name: str) -> Path:
    """A list comes from elsewhere, and what it names is copied by that name: it may not lead out of the folder."""
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name or "\0" in name:
        raise InputError(f"{name!r} is listed, which leads out of the set's folder; {WHOLE}")
    return folder / place
