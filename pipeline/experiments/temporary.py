"""Temporary folders of commands, each with a note of its process, by which those of killed ones are known."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PREFIX = "orbweaver-"
NOTE = "owner.json"
# By which the clock may have been set anew since the note was written: a process that began later is another.
CLOCK_SECONDS = 60.0


@contextmanager
def folder(place: Path | None = None, *, keep: bool = False) -> Iterator[Path]:
    """Yield a folder that is deleted in the end, also after Ctrl-C.

    Args:
        place: where it is made; None for the system's own.
        keep: leave it where it is, as the user's, for good.

    Yields:
        The folder, with the note in it unless it stays.
    """
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    try:
        if not keep:
            note = {"host": os.uname().nodename, "pid": os.getpid(), "since": time.time()}
            (made / NOTE).write_text(json.dumps(note), encoding="utf-8")
        yield made
    finally:
        if not keep:
            shutil.rmtree(made, ignore_errors=True)


def of_killed() -> list[Path]:
    """Return the folders of this user's commands on this machine that were killed; no other has such a note."""
    try:
        places = sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
    except OSError:
        return []
    return [place for place in places if _is_own(place) and _owner_is_gone(place / NOTE)]


def _is_own(place: Path) -> bool:
    """Return whether a place is a folder, and no link to one, that this user made."""
    with suppress(OSError):
        return place.is_dir() and not place.is_symlink() and place.lstat().st_uid == os.getuid()
    return False


def _owner_is_gone(file: Path) -> bool:
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        # On a disk that machines share, the number of a process means another one here.
        if note["host"] != os.uname().nodename:
            return False
        process = psutil.Process(note["pid"])
        began_later: bool = process.create_time() > note["since"] + CLOCK_SECONDS
        return began_later or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OSError, ValueError, KeyError, TypeError):
        return False
