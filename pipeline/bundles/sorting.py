"""Images copied by class, and names that no two files and no two folders share."""

import filecmp
import re
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from pipeline.core import paths

# Bytes of a name on most file systems are 255; a copy is written under one of 9 more.
LONGEST = 240
# What Windows, some file systems or shells take for something else.
UNSAFE = frozenset('/\\:*?"<>|')
RESERVED = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)))
)


class Names:
    """Names in one folder of which no two are equal, even where upper and lower case or Unicode forms are not."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        # The first number of each name that may be free: camera traps have an IMG_0001.JPG in thousands of folders.
        self._first: dict[str, int] = {}

    def take(self, name: str, *, is_free: Callable[[str], bool] = lambda _: True) -> str:
        """Return the name, cut if it is long, or with the first number behind it that makes it free.

        >>> names = Names()
        >>> [names.take(name) for name in ("a.png", "A.png", "a.png", "b.png")]
        ['a.png', 'A-2.png', 'a-3.png', 'b.png']
        """
        stem, ending = Path(name).stem, Path(name).suffix
        first = self._first.get(_key(name), 1)
        for number in count(first):
            end = (f"-{number}" if number > 1 else "") + ending
            tried = cut(stem, LONGEST - len(_bytes(end))) + end
            if (key := _key(tried)) in self._taken:
                first += number == first
            elif is_free(tried):
                self._taken.add(key)
                self._first[_key(name)] = first
                return tried
        raise AssertionError("numbers do not end")


class Sorted:
    """A folder into which images are copied, each into that of its class.

    Args:
        folder: where to; what is in it stays.
        classes: all there are.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folders = dict(zip(classes, (folder / name for name in folder_names(classes)), strict=True))
        self._names = {name: Names() for name in classes}

    def copy(self, file: Path, label: str) -> Path:
        """Copy an image into the folder of a class and return its place there.

        A name that another image has is given a number; a copy of an earlier call that is the same stays.
        """
        folder = self._folders[label]
        folder.mkdir(parents=True, exist_ok=True)
        name = self._names[label].take(file.name, is_free=lambda name: _is_free(folder / name, file))
        target = folder / name
        if not target.exists():
            with paths.written_whole(target) as partial:
                shutil.copy2(file, partial)
        return target


def folder_names(classes: Sequence[str]) -> list[str]:
    """Return the name of a folder for each class: its own, with what no folder may be called replaced by `_`.

    >>> folder_names(["cat", "a/b", "..", "Cat", "nul", ""])
    ['cat', 'a_b', '_', 'Cat-2', 'nul_', '_-2']
    """
    names = Names()
    return [names.take(_safe(name)) for name in classes]


def map_name(row: int, path: str) -> str:
    """Return the name of the map of an image, by its row of the table.

    >>> map_name(1, "photographs/spider.jpg")
    '00001-spider.jpg.png'
    """
    number, ending = f"{row:05}-", ".png"
    return number + cut(Path(path).name, LONGEST - len(number + ending)) + ending


def is_map_name(name: str) -> bool:
    """Return whether a file is called as the map of some row is."""
    return bool(re.fullmatch(r"\d{5,}-.*\.png", name, re.DOTALL))


def cut(name: str, longest: int) -> str:
    """Return the beginning of a name, of at most so many bytes."""
    content = _bytes(name)
    return name if len(content) <= longest else content[:longest].decode("utf-8", "ignore")


def _safe(name: str) -> str:
    text = "".join("_" if sign in UNSAFE or not sign.isprintable() else sign for sign in name)
    # A point before it hides a folder, and Windows drops one behind it.
    text = text.strip(" .") or "_"
    return f"{text}_" if text.partition(".")[0].casefold() in RESERVED else text


def _is_free(place: Path, file: Path) -> bool:
    return not place.is_symlink() and (
        not place.exists() or (place.is_file() and filecmp.cmp(place, file, shallow=False))
    )


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
