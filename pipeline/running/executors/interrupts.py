"""Ctrl-C while jobs are submitted or cancelled: it waits, or says what is left."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.stopping import SIGNALS


class StillEndingError(KeyboardInterrupt):
    """Ctrl-C while what was cancelled still ends; the message says what that is."""


@contextmanager
def held_back() -> Iterator[None]:
    """Have signals to stop wait until the block has ended; where it fails, its error says more than they do.

    Outside the main thread, where Python has no signals, nothing is held back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    try:
        for number in taken:
            signal.signal(number, lambda number, _frame: came.append(number))
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
