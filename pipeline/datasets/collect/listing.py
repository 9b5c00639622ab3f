"""Names in the user's folder: what is listed, walked and left alone, and how a name is shown on one line."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from unicodedata import category

from pipeline.core import shell
from pipeline.core.errors import InputError

# What file managers, Windows, macOS and storage boxes leave behind; names that begin with a dot are passed over too.
SYSTEM_FILES = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "icon\r", "__macosx", "@eadir"),
    *("$recycle.bin", "system volume information", "lost+found"),
}
OUR_FILES = {"readme.md"}


def listed(folder: Path, ignored: Iterable[str] = ()) -> list[Path]:
    """Return what is in a folder, sorted, without hidden files, those of operating systems and those of `ignored`.

    A link to a folder that it is in itself is left out too: all of that folder would be in it once more.

    Raises:
        InputError: for a folder that may not be read.
    """
    left_out = set(ignored)
    try:
        with os.scandir(folder) as every:
            entries = [folder / entry.name for entry in every if not (is_passed_over(entry.name) or _leads_back(entry))]
    except PermissionError as error:
        raise InputError(f"{escaped(str(folder))}: {error.strerror}; {readable(folder)}") from None
    return sorted(entry for entry in entries if entry.name.casefold() not in left_out)


def _leads_back(entry: os.DirEntry[str]) -> bool:
    # What leads nowhere, or where nobody may look, is named when it is read.
    with suppress(OSError):
        return entry.is_symlink() and entry.is_dir() and leads_back(Path(entry.path))
    return False


def leads_back(link: Path) -> bool:
    """Return whether a link to a folder leads to one that it is in, where it lies or by the links of its path."""
    target = link.resolve()
    return any(parent.resolve().is_relative_to(target) for parent in link.absolute().parents)


def readable(place: Path) -> str:
    """Return the way out of a place that may not be read."""
    return f"make it readable (chmod -R u+rX {escaped(shell.quote(str(place)))}) or move it out of the folder"


def is_passed_over(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or one that an operating system leaves behind."""
    return name.startswith(".") or name.casefold() in SYSTEM_FILES


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted."""
    return [entry for entry in listed(folder) if entry.is_dir()]


def walk(folder: Path, *, keep_unreadable: bool = False) -> Iterator[Path]:
    """Yield all files below a folder; a link to a folder that it is in is not followed.

    Args:
        folder: the folder.
        keep_unreadable: yield a folder that cannot be read in place of what is in it.

    Raises:
        InputError: for such a folder otherwise.
    """
    try:
        entries = listed(folder)
    except (InputError, OSError):
        if not keep_unreadable:
            raise
        yield folder
        return
    for entry in entries:
        if entry.is_dir():
            yield from walk(entry, keep_unreadable=keep_unreadable)
        else:
            yield entry


def states(place: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of each file of a folder, or of one file."""
    by_file = {}
    for file in walk(place, keep_unreadable=True) if place.is_dir() else [place]:
        # What a link leads to may not be there.
        with suppress(OSError):
            status = file.stat()
            by_file[file] = (status.st_size, status.st_mtime_ns)
    return by_file


def check_unchanged(place: Path, before: Mapping[Path, tuple[int, int]]) -> None:
    """Refuse files that were changed while they were read: DVC hashes them afterwards, and would take them for those.

    Args:
        place: the folder or file.
        before: what `states` returned before it was read.

    Raises:
        InputError: naming the first such file.
    """
    after = states(place)
    if changed := sorted(file for file in before.keys() | after.keys() if before.get(file) != after.get(file)):
        raise InputError(
            f"{escaped(str(changed[0]))}: changed while it was read; the same command reads it as it is now"
        )


def linked_folders(folder: Path) -> Iterator[Path]:
    """Yield the links to folders below a folder, which `walk` follows and DVC does not."""
    for place, inside, _ in os.walk(folder):
        yield from (link for link in sorted(Path(place, name) for name in inside) if link.is_symlink())


def link_notes(folder: Path) -> Iterator[str]:
    """Yield what is worth saying of the links to folders below a folder."""
    if link := next((link for link in linked_folders(folder) if not leads_back(link)), None):
        name = escaped(link.relative_to(folder).as_posix())
        yield f"{name} is a link: DVC sees no change behind it, so copy what changes"
    yield from circle_notes(folder)


def circle_notes(folder: Path) -> Iterator[str]:
    """Yield a line for each link below a folder that leads to one that it is in, which is not followed."""
    for link in filter(leads_back, linked_folders(folder)):
        name = escaped(link.relative_to(folder).as_posix())
        yield f"{name} is a link to a folder that it is in: it is not followed; delete it"


def name_fault(name: str) -> str:
    """Describe why a name cannot be in a CSV row; return an empty string if it can.

    Names on disk are bytes; Python decodes those that are not UTF-8 to lone surrogates.
    """
    if name.isprintable():
        return ""
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return "is not UTF-8"
    return "has control characters" if any(category(letter) == "Cc" for letter in name) else ""


def escaped(name: str) -> str:
    """Return a name on one line, with control characters and invalid bytes as escapes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(f"\\x{ord(letter):02x}" if category(letter) == "Cc" else letter for letter in text)


def quoted(name: str) -> str:
    """Return a name in quotes, as `escaped` has it.

    >>> print(quoted("owl"), quoted("d'Arc"))
    'owl' "d'Arc"
    """
    return repr(name) if name.isprintable() else f"'{escaped(name)}'"


def names(several: Iterable[str]) -> str:
    """Return names in quotes, the first three and how many more there are."""
    listed = [quoted(name) for name in sorted(several)]
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
