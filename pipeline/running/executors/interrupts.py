"""Ctrl-C while jobs are submitted or cancelled: it waits, or says what is left."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.stopping import handled


class StillEndingError(KeyboardInterrupt):
    """Ctrl-C while what was cancelled still ends; the message says what that is."""


@contextmanager
def held_back() -> Iterator[None]:
    """Have signals to stop wait until the block has ended; where it fails, its error says more than they do.

    Outside the main thread nothing is held back.
    """
    came: list[int] = []
    with handled(lambda number, _frame: came.append(number)):
        yield
    if came:
        signal.raise_signal(came[0])
