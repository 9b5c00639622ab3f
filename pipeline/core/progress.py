"""Progress of a stage's work: a bar on a terminal, a line now and then elsewhere, both on standard error."""

import io
import sys
from typing import Any

from tqdm import tqdm

# Seconds between two lines; shorter work prints none.
INTERVAL = 10.0


class _Lines(tqdm):  # type: ignore[type-arg]
    """Progress as lines of a log."""

    def __init__(self, **options: Any) -> None:
        """Print nothing by itself, and leave nothing behind."""
        super().__init__(
            file=io.StringIO(), leave=False, delay=INTERVAL, mininterval=INTERVAL, maxinterval=INTERVAL, **options
        )

    def display(self, msg: str | None = None, *_others: Any, **_named: Any) -> None:
        """Print how much is done; nothing at the end, when `msg` is empty."""
        if msg != "":
            print(f"{self.desc}: {self.n:,} of {self.total:,}{self.unit}", flush=True, file=sys.stderr)


def bar(total: int, name: str, unit: str) -> "tqdm[Any]":
    """Return the progress of some work, none of it done.

    Args:
        total: how much there is, in units.
        name: of the work, such as `preprocess`; "" for a bar that is not shown.
        unit: plural of what is counted.
    """
    progress: type[tqdm[Any]] = tqdm if sys.stderr.isatty() else _Lines
    return progress(total=total, desc=name, unit=f" {unit}", disable=not name)
