"""Removal of cached results that nobody has used for 30 days."""

import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core import paths

KEPT_DAYS = 30


def lock_of(result: Path) -> Path:
    """Return the lock of a file or folder, under which it is written, used and removed."""
    return result.with_name(f"{result.stem}.lock")


def note_use(result: Path) -> None:
    """Note that a result is used now, if it is there."""
    with suppress(FileNotFoundError):
        os.utime(result)


def remove(results: Iterable[Path]) -> None:
    """Remove those of some results that were not used for 30 days; what another process holds is left alone.

    A lock, an empty file, stays: a process that has opened it before its name goes would hold another than those after.
    """
    for result in filter(_is_unused, results):
        with suppress(Timeout), FileLock(lock_of(result), timeout=0):
            # It may have been used until now.
            if _is_unused(result):
                shutil.rmtree(result, ignore_errors=True) if result.is_dir() else result.unlink(missing_ok=True)
                paths.digests(result).unlink(missing_ok=True)


def _is_unused(result: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - result.stat().st_mtime > KEPT_DAYS * 24 * 3600
    return False
