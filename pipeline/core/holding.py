"""Locks that say who holds them: the process, since when and what it does."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import InputError

ASK_EVERY = 0.2
# The end of the name of the note who holds a lock.
HELD = ".held"


@contextmanager
def held(
    lock: Path, what: str, *, waiting: Callable[[str], None], patience: float = 0.0, limit: float = -1.0
) -> Iterator[None]:
    """Hold a lock for the block; the system lets go of it when the process ends, however it ends.

    Args:
        lock: the file; its folder is made.
        what: what this process does, for those who have to wait.
        waiting: called once with the lock's holder, if the lock is not free within `patience`.
        patience: seconds to wait before.
        limit: seconds to wait after that; below 0 without end.

    Raises:
        InputError: if it is held for longer than that.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = FileLock(lock)
    try:
        file.acquire(timeout=patience, poll_interval=min(ASK_EVERY, patience or ASK_EVERY))
    except Timeout:
        waiting(holder(lock))
        try:
            file.acquire(timeout=limit, poll_interval=ASK_EVERY)
        except Timeout:
            raise InputError(
                f"{lock}: still held by {holder(lock)}; wait until that has ended, then try again"
            ) from None
    try:
        _told(lock).write_text(json.dumps({"pid": os.getpid(), "since": time.time(), "what": what}), encoding="utf-8")
        yield
    finally:
        _told(lock).unlink(missing_ok=True)
        file.release()


def holder(lock: Path) -> str:
    """Return words for who holds a lock, such as `process 1234 (study run table5) since 14:03:10`."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(_told(lock).read_text(encoding="utf-8"))
        return f"process {told['pid']} ({told['what']}) since {clock(told['since'])}"
    return "another process"


def clock(moment: float) -> str:
    """Return a time of day, with the date where it is not today."""
    then = time.localtime(moment)
    return time.strftime("%H:%M:%S" if then[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M", then)


def _told(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}{HELD}")
