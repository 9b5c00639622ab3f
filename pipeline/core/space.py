"""A check of disk space before writing."""

import shutil
from pathlib import Path

from pipeline.core.errors import InputError


def check_room(folder: Path, needed: int, *, way_out: str) -> None:
    """Check that `needed` bytes fit on the disk of a folder that exists.

    Raises:
        InputError: if they do not; the message has both sizes and the way out.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{folder}: {_readable(needed)} needed, {_readable(free)} free on its disk; {way_out}")


def _readable(size: int) -> str:
    """Return a size with its unit.

    >>> _readable(15_053_000_000)
    '15.1 GB'
    >>> _readable(512)
    '0.5 KB'
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1000:.1f} KB"
