"""Signals that ask a long computation to stop: noted, so that it can keep its state before it does."""

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Ctrl-C, a scheduler's or a shutdown's end, a terminal that closes, a scheduler's early warning.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
INTERRUPTED = 130
# EX_TEMPFAIL of sysexits.h: try again.
STOPPED = 75
# Seconds in which further signals repeat the first: a scheduler sends one to every process of a job, who pass it on.
REPEATED_SECONDS = 10.0
# After which an interrupt that Python has ignored comes again.
AGAIN_SECONDS = 0.05


class StoppedError(Exception):
    """Error of a computation that was asked to stop, after it has kept its state.

    Attributes:
        status: the status with which the process ends: 130 after Ctrl-C, else 75.
    """

    def __init__(self, request: "StopRequest", what: str) -> None:
        super().__init__(f"stopped by {request.reason} {what}")
        self.status = INTERRUPTED if request.reason == signal.SIGINT.name else STOPPED


class StopRequest:
    """Whether the process has been asked to stop, and by which signal; empty while it has not."""

    def __init__(self) -> None:
        self.reason = ""
        self._patient_until = 0.0

    def note(self, reason: str) -> bool:
        """Note a signal; return whether it says no more than the one before.

        Ctrl-C is a person's, who presses it once more so as to wait no longer.
        """
        if self.reason:
            return time.monotonic() < self._patient_until
        self.reason = reason
        self._patient_until = 0.0 if reason == signal.SIGINT.name else time.monotonic() + REPEATED_SECONDS
        return True

    def end_all(self, what: str) -> None:
        """End the process where Ctrl-C was noted and its work is done: DVC would go on with the next stage.

        Raises:
            StoppedError: then.
        """
        if self.reason == signal.SIGINT.name:
            raise StoppedError(self, what)


@contextmanager
def handled(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Have signals to stop come to a handler inside; those that are ignored stay so, as a terminal's end under `nohup`.

    Outside the main thread, where Python has no signals, nothing is changed.

    Args:
        handler: takes the number of a signal, and the frame.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {number: earlier for number, earlier in before.items() if earlier != signal.SIG_IGN}
    try:
        for number in taken:
            signal.signal(number, handler)
        yield
    finally:
        for number, earlier in taken.items():
            signal.signal(number, earlier)


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


@contextmanager
def noted() -> Iterator[StopRequest]:
    """Note the first signal to stop inside; a second one interrupts at once, as it would without.

    What comes within ten seconds of another first signal than Ctrl-C is no second one. Outside the main thread nothing
    is noted.

    Yields:
        The request, which a computation looks at between its steps.
    """
    request = StopRequest()

    def note(number: int, _frame: object) -> None:
        if not request.note(signal.Signals(number).name):
            raise KeyboardInterrupt(signal.Signals(number).name)

    with handled(note):
        yield request


@contextmanager
def insisting() -> Iterator[None]:
    """Have an interrupt come again that Python ignores, as it does in callbacks of weak references.

    Tracing a network for an export runs many of these: Ctrl-C printed a traceback there, and the export went on.
    """
    before = sys.unraisablehook

    def hook(ignored: "sys.UnraisableHookArgs") -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            threading.Timer(AGAIN_SECONDS, _thread.interrupt_main).start()
        else:
            before(ignored)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def ignore() -> None:
    """Ignore signals to stop from now on: all is written, and a process that they end would have failed for DVC."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
