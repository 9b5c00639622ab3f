"""Paths that a user gives: files, folders, and a list of either."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.datasets.collect import metadata
from pipeline.datasets.collect.listing import OUR_FILES, escaped, walk

# As a path it stands for a list of paths.
LIST = "-"
ABOUT_PHOTOGRAPHS = {*OUR_FILES, metadata.NAME}


def names(given: Sequence[str], lines: Iterable[bytes], outputs: Iterable[Path] = ()) -> list[str]:
    """Return the paths of all files in the order in which they are given, those of a folder and below it sorted.

    What a folder holds is any file that may be an image, whatever its name: hidden files and those of operating
    systems are passed over, and `outputs` are, which an earlier call may have written there. So are the table and the
    README that a folder of labeled photographs may have at its top.

    Args:
        given: paths of files and folders; `-` stands for `lines`.
        lines: a path each; one that is missing is listed all the same, as a list may be older than its files.
        outputs: files and folders.

    Raises:
        InputError: for a path that is missing, a list that is asked for twice, or where there is no file.
    """
    if list(given).count(LIST) > 1:
        raise InputError(f"{LIST}: given twice; standard input is one list")
    for path in given:
        if path != LIST and not _is(Path.exists, path):
            raise InputError(f"{escaped(path)}: no such file or folder")
    passed_over = {output.resolve() for output in outputs}
    found = [name for path in given for name in _names(path, lines, passed_over)]
    if not found:
        raise InputError(f"{', '.join(map(escaped, given))}: no image in it; give files, or folders that hold some")
    return found


def _names(path: str, lines: Iterable[bytes], passed_over: set[Path]) -> Iterator[str]:
    if path == LIST:
        for line in lines:
            if name := os.fsdecode(line.removesuffix(b"\n").removesuffix(b"\r")):
                yield from _below(name, passed_over)
    else:
        yield from _below(path, passed_over)


def _below(name: str, passed_over: set[Path]) -> Iterator[str]:
    root = Path(name)
    if not _is(Path.is_dir, root):
        yield name
        return
    inside = {output for output in passed_over if root.resolve() in output.parents}
    for file in walk(root, keep_unreadable=True):
        is_about_photographs = file.parent == root and file.name.casefold() in ABOUT_PHOTOGRAPHS
        if not is_about_photographs and not (inside and _is_below(file, inside)):
            yield str(file)


def _is(what: Callable[[Path], bool], path: str | Path) -> bool:
    """Return whether a path is something; not where it cannot be looked at, which is said when it is read."""
    try:
        return what(Path(path))
    except OSError:
        return False


def _is_below(file: Path, places: set[Path]) -> bool:
    resolved = file.resolve()
    return not places.isdisjoint((resolved, *resolved.parents))
