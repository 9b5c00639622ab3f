"""Running a study's cells, each as `dvc exp run` in a clone and a process group of its own, a few at a time.

DVC's queue would do the same, but its workers stop on a busy machine while tasks are queued, a task that fails while
it is set up leaves no log, and stopping the workers would stop the user's own tasks. Its experiments are the same.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.commands import copies
from pipeline.commands.copies import Origin
from pipeline.core import paths
from pipeline.core.errors import InputError

STAGE = re.compile(r"^(?:Running stage|Stage) '([^']+)'", re.MULTILINE)
# What a cell is for: without it the result was there.
COMPUTED = re.compile(r"^Running stage '(?:train|evaluate)@", re.MULTILINE)
FAILURE = re.compile(r"^\S+: error: .*|^ERROR: .*", re.MULTILINE)
LOOK_EVERY = 0.2
# Seconds that a cell is given after each signal.
PATIENCE = 30


def was_cached(log: Path) -> bool:
    """Return whether a cell trained and tested nothing, since DVC had the result; False where there is no log."""
    if not log.is_file():
        return False
    text = log.read_text(encoding="utf-8", errors="replace")
    return bool(STAGE.search(text)) and not COMPUTED.search(text)


class Task(NamedTuple):
    """A cell to run: its name, DVC's name for it, its overrides and how many networks it trains."""

    cell: str
    experiment: str
    overrides: tuple[str, ...]
    trainings: int


class Ended(NamedTuple):
    """A cell that has ended: what was run, why it failed, empty where it did not, and whether its result was there."""

    task: Task
    failure: str
    cached: bool


class Running:
    """A cell that runs.

    Args:
        task: what to run.
        origin: what it is run in a copy of.
        log: where what it prints goes.
    """

    def __init__(self, task: Task, origin: Origin, log: Path) -> None:
        self.task = task
        self._origin = origin
        self._log = log.resolve()
        log.parent.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "pipeline.commands.cell", str(os.getpid())]
        words += ["exp", "run", "--name", task.experiment]
        words += [word for one in task.overrides for word in ("-S", one)]
        # Stages call `python`: this one. Ctrl-C in a terminal reaches only us, who pass it on.
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        environment = os.environ | {"PATH": search, paths.ROOT_VARIABLE: str(origin.root)}
        with log.open("w", encoding="utf-8") as stream:
            self._child = subprocess.Popen(
                words,
                cwd=origin.copy(task.experiment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )

    def stages(self) -> list[str]:
        """Return the stages that DVC has reached."""
        return STAGE.findall(self._log.read_text(encoding="utf-8", errors="replace"))

    def trained(self) -> int:
        """Return how many of its networks are trained."""
        return sum(stage.startswith("train@") for stage in self.stages()[:-1])

    def is_training(self) -> bool:
        """Return whether all that cells may share is there: images and pre-trained weights."""
        return any(stage.startswith("train@") for stage in self.stages())

    def ended(self) -> Ended | None:
        """Return how it ended; None while it runs."""
        if self._child.poll() is None:
            return None
        failure = "" if self._child.returncode == 0 else self._failure()
        try:
            copies.bring_back(self._origin.root, self.task.experiment)
        except InputError as error:
            failure = failure or str(error)
        return Ended(self.task, failure, was_cached(self._log))

    def _failure(self) -> str:
        log = self._log.read_text(encoding="utf-8", errors="replace")
        lines = FAILURE.findall(log) or [line for line in log.splitlines() if line.strip()]
        ours = [line for line in lines if not line.startswith("ERROR:")]
        reason = (ours or lines or [f"dvc ended with {self._child.returncode}"])[-1]
        return f"{reason} (log: {self._log})"

    def stop(self) -> None:
        """End it and all that it started, and remove its copy; each Ctrl-C waits no longer for the last signal."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with suppress(KeyboardInterrupt):
                if self._signalled(number):
                    break
        copies.remove(self._origin.root, self.task.experiment)

    def _signalled(self, number: signal.Signals) -> bool:
        """Return whether nothing of it is left after this signal."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)
        return _wait(lambda: self._child.poll() is not None and not self._has_members(), PATIENCE)

    def _has_members(self) -> bool:
        try:
            os.killpg(self._child.pid, 0)
        except ProcessLookupError:
            return False
        return True


def _wait(until: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY)
    return True


def run(tasks: Sequence[Task], *, jobs: int, logs: Path, on_trained: Callable[[int], None]) -> Generator[Ended]:
    """Run all, `jobs` at a time, and give each as it ends.

    The next one starts when those before it train or have ended, so that what they share is made once.

    Args:
        tasks: what to run.
        jobs: how many at a time.
        logs: the folder of what they print.
        on_trained: told how many networks more are trained.

    Raises:
        KeyboardInterrupt: after all that runs has been stopped.
    """
    waiting, running, reported = list(tasks), list[Running](), dict[str, int]()
    origin = Origin(Path.cwd())
    try:
        while waiting or running:
            if waiting and len(running) < jobs and all(one.is_training() for one in running):
                task = waiting.pop(0)
                running.append(Running(task, origin, logs / f"{task.cell}.log"))
            for one in list(running):
                end = one.ended()
                count = one.task.trainings if end and not end.failure else one.trained()
                on_trained(count - reported.get(one.task.cell, 0))
                reported[one.task.cell] = count
                if end:
                    running.remove(one)
                    yield end
            time.sleep(LOOK_EVERY)
    finally:
        stop(running)


def stop(running: Sequence[Running]) -> None:
    """End all of them."""
    for one in running:
        one.stop()
