"""`dvc exp run` of a cell as a process group of its own, which ends with this process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from pipeline.experiments import dvc_process

LOOK_EVERY = 0.2
# Seconds that a cell is given after each signal.
PATIENCE = 30


class CellProcess:
    """A cell's DVC and all that it starts.

    Args:
        project: the project's root in a clone of the cell's own.
        experiment: DVC's name for the cell.
        overrides: what is put into params.yaml, as after -S.
        environment: its variables.
        pull: whether DVC takes from its default remote what it would make otherwise.
        stream: where what it prints goes; None for where that of this process goes.
    """

    def __init__(
        self,
        project: Path,
        experiment: str,
        overrides: Sequence[str],
        *,
        environment: Mapping[str, str],
        pull: bool = False,
        stream: IO[Any] | None = None,
    ) -> None:
        words = [*dvc_process.FOLLOWED_DVC, str(os.getpid()), "exp", "run", "--name", experiment]
        words += ["--pull"] if pull else []
        words += [word for one in overrides for word in ("-S", one)]
        # Stages call `python`: this one. Ctrl-C in a terminal reaches only us, who pass it on.
        search = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
        self._child = subprocess.Popen(
            words,
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT if stream else None,
            start_new_session=True,
            env={**environment, "PATH": search},
        )

    def status(self) -> int | None:
        """Return DVC's exit status; None while it runs."""
        return self._child.poll()

    def stop(self, patience: float = PATIENCE, *, first: signal.Signals = signal.SIGINT) -> None:
        """End it and all that it started; each Ctrl-C waits no longer for the last signal.

        Args:
            patience: seconds after each signal.
            first: SIGTERM where its processes may have that already: after Ctrl-C it would be a second signal, which
                keeps no state.
        """
        stop_all([self], patience, first=first)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all of it that is left."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)

    def is_left(self) -> bool:
        """Return whether it, or something that it started, is left."""
        if self._child.poll() is None:
            return True
        try:
            os.killpg(self._child.pid, 0)
        except ProcessLookupError:
            return False
        return True


def stop_all(processes: Sequence[CellProcess], patience: float = PATIENCE, *, first: signal.Signals) -> None:
    """End some at the same time: each is signaled before any is waited for; the rest as `CellProcess.stop`."""
    for number in (first, signal.SIGTERM, signal.SIGKILL):
        with suppress(KeyboardInterrupt):
            for one in processes:
                if one.is_left():
                    one.send(number)
            if wait(lambda: not any(one.is_left() for one in processes), patience):
                break


def wait(until: Callable[[], bool], seconds: float, *, every: float = LOOK_EVERY) -> bool:
    """Return whether a condition became true within a time limit; poll it."""
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
