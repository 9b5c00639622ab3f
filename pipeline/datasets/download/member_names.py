"""The names of archive members: refused if unsafe, or if two of them would be one file on some file system."""

import unicodedata
from pathlib import PureWindowsPath

LONGEST_NAME = 1000


def path_of(name: str) -> str:
    """Return a member's path without empty parts and dots.

    >>> path_of("./set//a.jpg")
    'set/a.jpg'
    """
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def name_fault(name: str) -> str:
    """Describe why a name is unsafe on some system; return an empty string if it is fine.

    Names that one system alone cannot write, such as `a?b` or `con` on Windows, are left to it.

    >>> name_fault("a/../../b")
    'leads out of the archive'
    >>> name_fault("a/b..c")
    ''
    """
    if len(name) > LONGEST_NAME:
        return f"begins a name of {len(name):,} characters"
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "has control characters in its name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/") or PureWindowsPath(name).drive:
        return "is an absolute path"
    return "leads out of the archive" if ".." in name.split("/") else ""


class ReservedNames:
    """The paths written so far, compared without case and Unicode form, as some file systems compare them."""

    def __init__(self) -> None:
        self._reserved: dict[str, tuple[str, bool]] = {}

    def reserve(self, path: str, *, is_file: bool) -> str:
        """Reserve a path and the folders above it; return what it clashes with, or an empty string."""
        end = path.find("/")
        while end >= 0:
            if fault := self._reserve(path[:end], is_file=False):
                return fault
            end = path.find("/", end + 1)
        return self._reserve(path, is_file=is_file)

    def _reserve(self, path: str, *, is_file: bool) -> str:
        key = _folded(path)
        if key not in self._reserved:
            self._reserved[key] = path, is_file
            return ""
        other, other_is_file = self._reserved[key]
        if other != path:
            return f"differs from {other!a} only in case or Unicode form"
        if is_file and other_is_file:
            return "comes twice"
        return f"{path!a} is both a file and a folder" if is_file or other_is_file else ""


def _folded(path: str) -> str:
    if path.isascii():
        return path.lower()
    # Case folding can leave the normal form, so it is applied before and after.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
