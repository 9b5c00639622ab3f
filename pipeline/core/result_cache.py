"""Results that are computed once and found again by everything that they follow from, in DVC's folder for such files.

A result is a folder, whose name is the digest of what it follows from. It is written whole and compared with its
digests when it is read; one that is damaged is made anew. Deleting any of them costs the time to make it again, and one
that was not used for 30 days is deleted.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core import digests, holding, paths, seeding, unused
from pipeline.core.errors import InputError

# Seconds after which another process that makes the same result is named.
PATIENCE = 1.0


def key(kind: str, follows_from: Mapping[str, Any]) -> str:
    """Return the name of a result.

    Args:
        kind: of the result.
        follows_from: plain data.
    """
    return f"{kind}-{seeding.digest(dict(follows_from))}"


@contextmanager
def held(name: str) -> Iterator[Path]:
    """Yield the place of a result, which no other process writes meanwhile."""
    folder = paths.root() / paths.BANK
    folder.mkdir(parents=True, exist_ok=True)
    unused.remove(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    kind = name.partition("-")[0]
    waiting = partial(_say_waiting, kind)
    with holding.held(unused.lock_of(folder / name), kind, waiting=waiting, patience=PATIENCE):
        unused.note_use(folder / name)
        yield folder / name


def is_whole(place: Path, *names: str) -> bool:
    """Return whether these files of a result are there, and as they were written."""
    try:
        digests.check(*(place / name for name in names))
    except InputError:
        return False
    return True


@contextmanager
def written(place: Path) -> Iterator[Path]:
    """Yield an empty folder for the files of a result, which takes its place when all are written."""
    with paths.written_whole(place) as target:
        target.mkdir()
        yield target
        digests.seal(target)


def found_or_made(name: str, file: str, make: Callable[[Path], object]) -> tuple[Path, bool]:
    """Return a result's file, and whether it was there before.

    Args:
        name: as `key` gives it.
        file: the file in its folder.
        make: writes it to a path.
    """
    with held(name) as place:
        if is_whole(place, file):
            return place / file, True
        with written(place) as target:
            make(target / file)
    return place / file, False


def _say_waiting(kind: str, holder: str) -> None:
    print(f"{kind}: waiting for {holder}, which computes the same", file=sys.stderr, flush=True)
