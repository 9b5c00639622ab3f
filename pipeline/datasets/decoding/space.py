"""Whether the disk has room, asked before writing."""

import shutil
from pathlib import Path

from pipeline.core.errors import InputError


def check_room(folder: Path, needed: int, *, way_out: str) -> None:
    """Check that `needed` bytes fit on the disk of a folder that exists.

    Raises:
        InputError: naming what is needed, what is free, and the way out.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{folder}: {_told(needed)} needed, {_told(free)} free on its disk; {way_out}")


def _told(size: int) -> str:
    """A size in words.

    >>> _told(15_053_000_000)
    '15.1 GB'
    >>> _told(512)
    '0.5 KB'
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1000:.1f} KB"
