"""Cells on a SLURM cluster: one array of jobs, each `orbweaver cell` in a clone of its own on a node.

What SLURM says of a job is never the result: a cell is finished when its experiment is a reference of git in the user's
clone. So no accounting database is needed, and a command that was killed finds its jobs again.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from pipeline.core import stopping
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.experiments import cloning
from pipeline.running import cells, sharing
from pipeline.running.executors import job_states, scheduler, where
from pipeline.running.executors.arrays import Arrays
from pipeline.running.executors.contract import Prepared, Request, State, Task
from pipeline.running.executors.interrupts import StillEndingError
from pipeline.running.executors.job_queue import JobQueue
from pipeline.running.executors.processes import wait
from pipeline.running.executors.submitted import RECORD, Submitted
from pipeline.running.remotes import Remotes, named_remotes

LOOK_EVERY = 5.0
# Seconds until a reference that a node wrote is seen here: network file systems keep a folder's list for a minute.
SETTLE = 90.0
# Seconds in which jobs that were cancelled have ended: SLURM sends SIGKILL after its KillWait.
ENDING, CANCELLED_EVERY = 120.0, 1.0


def prepare(request: Request) -> Prepared:
    """Return the executor of a SLURM cluster, as where.yaml says it.

    Raises:
        InputError: where nothing can be submitted here, where.yaml is wrong, or device or threads are not definite.
    """
    scheduler.check()
    settings = where.slurm()
    words = (
        *_definite(request, "device", settings.computes_on),
        *_definite(request, "threads", lambda: str(settings.cpus)),
    )
    lines = [f"each cell has {' '.join(f'-S {word}' for word in words)}, which is part of what it is"] if words else []
    lines.append("`orbweaver sync` shows in MLflow what nodes have trained, unless MLFLOW_TRACKING_URI is a server")

    def start() -> Slurm:
        return Slurm(Path.cwd(), request, settings)

    return Prepared(start, words, tuple(lines))


def _definite(request: Request, key: str, value: Callable[[], str]) -> tuple[str, ...]:
    """Return the word that makes a setting definite, which otherwise each node would choose."""
    values = {str(getattr(recipe, key)) for recipe in request.recipes}
    if "auto" not in values:
        return ()
    if request.is_named(key):
        raise InputError(
            f"-S {key}=auto: each node would choose its own, which DVC does not track; leave it out, or give a value"
        )
    if values != {"auto"}:
        raise InputError(f"{key}: auto in some cells, and a value in others; give all the same: -S {key}=VALUE")
    return (f"{key}={value()}",)


class Slurm:
    """The executor of a SLURM cluster.

    Args:
        root: the project's root.
        request: what is to be run; jobs are how many run at a time.
        settings: of where.yaml.
        say: prints a line.
    """

    def __init__(
        self, root: Path, request: Request, settings: where.Slurm, say: Callable[[str], None] | None = None
    ) -> None:
        self.look_every = LOOK_EVERY
        self._root = root.resolve()
        self._study = request.study
        self._remotes = named_remotes(self._root)
        self._say = say or (lambda line: tqdm.write(f"slurm: {line}", file=sys.stderr))
        self._waiting: list[Task] = []
        self._folder = self._root / request.logs
        self._submitted = Submitted(self._folder / RECORD)
        # Before it is asked whether files are still those that the cells are named by: edits made later reach no cell.
        code = (cloning.git(self._root, "rev-parse", "--verify", "HEAD"), cloning.changes_of(self._root))
        at_once = request.jobs or settings.at_once
        shared = (self._root, *code, request.study, self._folder, settings, self._remotes, at_once)
        self._arrays = Arrays(*shared, self._submitted, self._say)
        self._queue = JobQueue(self._submitted, self._say)
        self._gone: dict[str, float] = {}
        self._finished: set[str] = set()
        self._logs: dict[str, Path] = {}
        self._summary = self._no_answer = ""
        if self._submitted.jobs():
            self._queue.ask()
            self._wait_for_ending()
        self._attached = {name for name, place in self._submitted.places.items() if self._queue.is_alive(place)}

    def submit(self, task: Task) -> str:
        """Take a cell in; one whose job a command before this one has submitted, and which lives, is watched."""
        self._logs[task.experiment] = self._folder / f"{task.cell}.log"
        if task.experiment not in self._attached:
            self._waiting.append(task)
        return task.experiment

    def state(self, handles: Sequence[str]) -> Mapping[str, State]:
        """Return the state of each, after submitting what is not yet."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._arrays.submit(waiting, self._logs)
        if self._attached:
            self._say_attached(self._attached.intersection(handles))
            self._attached = set()
        self._queue.look()
        # After SLURM: a cell is here, or in the remotes, before its job has ended.
        if self._remotes:
            self._bring(self._remotes, handles)
        there = cells.finished(self._root)
        states = {handle: self._state(handle, there) for handle in handles}
        self._report(states)
        return states

    def _say_attached(self, known: set[str]) -> None:
        """Say which jobs are watched, and which go on though they are of no cell any more."""
        if known:
            them = "it" if len(known) == 1 else "them"
            self._say(
                f"attached to {self._submitted.words(known)}: {counted(len(known), 'cell')}; Ctrl-C cancels {them}"
            )
        there = cells.finished(self._root)
        others = {name for name in self._attached - known if cells.key_of(name) not in there}
        if line := job_states.of_before([self._submitted.places[name] for name in others]):
            self._say(line)

    def log(self, handle: str) -> Path:
        """Return the file of what a cell prints."""
        return self._logs[handle]

    def cancel(self, handles: Sequence[str]) -> None:
        """Cancel jobs, and wait until nothing of them runs.

        Raises:
            InputError: where some have not ended after two minutes.
            StillEndingError: at a further Ctrl-C, which waits no longer.
        """
        self._waiting = []
        places = {self._submitted.places[handle] for handle in handles if handle in self._submitted.places}
        if places:
            self._cancel(places)
        left = (place for name, place in self._submitted.places.items() if name not in self._finished)
        alive = {place.partition("_")[0] for place in left if self._queue.is_alive(place)}
        # Those of a command with other words, which left them, go on.
        for commit in self._submitted.keep(alive):
            self._arrays.drop(commit)

    def _cancel(self, places: set[str]) -> None:
        names = " ".join(sorted({place.partition("_")[0] for place in places}))
        shows = f"`squeue -j {names.replace(' ', ',')}` shows them"
        try:
            with stopping.held_back():
                # Those that wait for others before these, or they would begin.
                scheduler.cancel(sorted(places, key=_number, reverse=True))
            has_ended = wait(lambda: self._has_ended(places), ENDING, every=CANCELLED_EVERY)
        except KeyboardInterrupt:
            raise StillEndingError(f"jobs {names} are cancelled and may still be ending; {shows}") from None
        if not has_ended:
            raise InputError(f"jobs {names}: cancelled, but still running after {ENDING:.0f} s; {shows}")

    def _has_ended(self, places: set[str]) -> bool:
        self._queue.look()
        return not any(self._queue.is_alive(place) for place in places)

    def _wait_for_ending(self) -> None:
        """Wait for jobs that end just now, such as after scancel: watched, they would only be seen to have failed."""

        def ending() -> set[str]:
            states = {name: self._queue.state(place)[0] for name, place in self._submitted.places.items()}
            return {name for name, state in states.items() if state == scheduler.ENDING}

        def have_ended() -> bool:
            self._queue.look()
            return not ending()

        if names := ending():
            self._say(f"{self._submitted.words(names)}: still ending; waited for")
            wait(have_ended, ENDING, every=CANCELLED_EVERY)

    def _state(self, handle: str, there: Mapping[str, str]) -> State:
        if cells.key_of(handle) in there:
            self._finished.add(handle)
            return State("finished")
        place = self._submitted.places[handle]
        if not self._queue.is_known(place):
            return State("waiting", "squeue does not answer")
        name, reason = self._queue.state(place)
        if state := job_states.alive(name, reason):
            self._gone.pop(handle, None)
            return state
        if name in ("", "COMPLETED"):
            if self._queue.no_answer:
                return State("running")
            since = self._gone.setdefault(handle, time.monotonic())
            if time.monotonic() - since < SETTLE:
                return State("running")
        return job_states.failed(name, self.log(handle))

    def _bring(self, remotes: Remotes, handles: Sequence[str]) -> None:
        """Take over what nodes have given; a remote that does not answer for now must not end what runs."""
        try:
            sharing.bring(self._root, remotes, [cells.key_of(one) for one in handles])
        except InputError as error:
            if str(error) != self._no_answer:
                self._say(f"{error}; asked again")
            self._no_answer = str(error)

    def _report(self, states: Mapping[str, State]) -> None:
        """Print how many run and why others wait, when that has changed."""
        running = sum(state.phase == "running" for state in states.values())
        reasons = Counter(state.reason or "Pending" for state in states.values() if state.phase == "waiting")
        waits = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        summary = f"{running} run, {reasons.total()} wait" + (f" ({waits})" if waits else "")
        if summary != self._summary and running + reasons.total():
            self._say(summary)
        self._summary = summary


def _number(place: str) -> int:
    """Return SLURM's number of a job of an array."""
    return int(place.partition("_")[0])
