"""Standard streams that the shell has closed (`>&-`): Python has None in their place, which every print would use."""

import io
import os
import sys


def drop() -> None:
    """Drop what goes to a standard stream that is closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))


def output_is_closed() -> bool:
    """Return whether standard output was closed and is dropped; one that the user sends to the same place is not."""
    return getattr(sys.stdout, "name", "") == os.devnull
