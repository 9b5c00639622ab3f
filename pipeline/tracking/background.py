"""Work on the store that nobody waits for longer than a while, and that stops nothing when it fails."""

import math
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from pipeline.core.errors import InputError
from pipeline.tracking.failures import AwayError, told_in_a_line

# Seconds until a server that is away is asked again.
ASK_AGAIN_SECONDS = 2.0

Result = TypeVar("Result")


class Background:
    """A thread that the process does not wait for at its end; of what goes wrong in it one line is printed.

    Args:
        work: what to do, with this object to `insist` by; an `InputError` of it becomes the line.
        meanwhile: the line's middle: what is not harmed.
        after: seconds before it begins; `cancel` in this time, and it never does.
        filled_by: the command that does it later.
    """

    def __init__(
        self,
        work: Callable[["Background"], object],
        *,
        meanwhile: str,
        after: float = 0.0,
        filled_by: str = "orbweaver sync",
    ) -> None:
        self._work = work
        self._meanwhile = meanwhile
        self._filled_by = filled_by
        self._after = after
        self._cancelled = threading.Event()
        self._told = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Do not begin, or wait for a server; work that has begun goes on."""
        self._cancelled.set()

    def insist(self, step: Callable[[], Result], *, times: float = math.inf) -> Result:
        """Do a step of the work, again as long as the server is away; the first time says so.

        Args:
            step: what to do; done in part, it can be done again.
            times: how often at most.

        Raises:
            AwayError: where it is away the last time, or after `cancel`.
            InputError: for any other failure of the store.
        """
        while True:
            try:
                with told_in_a_line():
                    return step()
            except AwayError as error:
                self._tell(str(error))
                times -= 1
                if times <= 0 or self._cancelled.wait(ASK_AGAIN_SECONDS):
                    raise

    def finish(self, seconds: float) -> None:
        """Wait until it is done, but no longer than this."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._tell(f"not done after another {seconds:g} s")

    def _run(self) -> None:
        if self._after and self._cancelled.wait(self._after):
            return
        try:
            self._work(self)
        except InputError as error:
            self._tell(str(error))

    def _tell(self, why: str) -> None:
        """Print the line, the first time only."""
        if self._told.acquire(blocking=False):
            # Where the reason ends in what to do before `orbweaver sync`, that alone fills in nothing.
            later = "" if "`orbweaver sync`" in why else f"; `{self._filled_by}` fills this in later"
            print(f"mlflow: {why}; {self._meanwhile}{later}", file=sys.stderr, flush=True)
