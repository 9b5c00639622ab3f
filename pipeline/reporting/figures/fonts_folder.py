"""A folder in the clone for matplotlib's list of fonts, where the user's home cannot be written.

Matplotlib looks for one while it is imported: it would print two lines, and make the list anew in each process.
"""

import os
import sys
from pathlib import Path

from pipeline.core import paths

VARIABLE = "MPLCONFIGDIR"
PLACE = Path(".dvc/tmp/matplotlib")


def _own() -> list[Path]:
    """Return matplotlib's own folders; none where the user has no home."""
    try:
        home = Path.home()
    except RuntimeError:
        return []
    if not sys.platform.startswith("linux"):
        return [home / ".matplotlib"]
    bases = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache"}
    return [Path(os.environ.get(name) or home / base, "matplotlib") for name, base in bases.items()]


def _is_writable(folder: Path) -> bool:
    """Make a folder, as matplotlib does, and return whether files can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def choose() -> None:
    """Name the clone's folder to matplotlib, unless its own can be written or the user has named one."""
    own = _own()
    if os.environ.get(VARIABLE) or (own and all(map(_is_writable, own))):
        return
    place = paths.root() / PLACE
    if place.parents[1].is_dir() and _is_writable(place):
        os.environ[VARIABLE] = str(place)


# Later it has no effect.
choose()
