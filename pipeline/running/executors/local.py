"""Cells on this machine, each as `dvc exp run` in a clone and a process group of its own, one a GPU.

DVC's queue would do the same, but its workers stop on a busy machine while tasks are queued, a task that fails while
it is set up leaves no log, and stopping the workers would stop the user's own tasks. Its experiments are the same.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.core import paths, seeding
from pipeline.core.errors import InputError
from pipeline.running import cell_clones, own_files
from pipeline.running.cell_clones import ProjectSnapshot
from pipeline.running.executors import gpus, logs
from pipeline.running.executors.contract import Prepared, Request, State, Task
from pipeline.running.executors.processes import LOOK_EVERY, CellProcess, stop_all


def prepare(request: Request) -> Prepared:
    """Return the executor of this machine: one cell a GPU, or one at a time, or as many as the user says.

    On the CPU, cells that run at a time divide its cores, each with a fixed number of threads: the last digits of a
    result follow from it, so it is part of what a cell is, and how many cells run just then is not.

    Raises:
        InputError: where they should outlive the command.
    """
    if request.detach:
        raise InputError("--detach: cells on this machine end with the command; leave it out, or give --on slurm")
    on_gpus = any(recipe.device in gpus.ON_A_GPU for recipe in request.recipes)
    places = gpus.places(gpus.here() if on_gpus else [], request.jobs)
    used = list(dict.fromkeys(place for place in places if place is not None))
    prepared = Prepared(lambda: Local(Path.cwd(), request.logs, places))
    if used:
        line = f"{len(places)} cells at a time on {len(used)} GPUs"
        return prepared._replace(lines=(line,) if len(used) > 1 else ())
    are_auto = not request.is_named("threads") and all(recipe.threads == "auto" for recipe in request.recipes)
    if len(places) == 1 or not are_auto:
        return prepared
    cores = seeding.cores()
    word = f"threads={divided(cores, len(places))}"
    line = (
        f"{len(places)} cells at a time on {cores} cores: each has -S {word}, which is part of what it is; "
        "-S threads=auto gives each all cores"
    )
    return prepared._replace(words=(word,), lines=(line,))


def divided(cores: int, jobs: int) -> int:
    """Return how many threads each of some cells has.

    >>> [divided(cores, 3) for cores in (1, 2, 8, 64)]
    [1, 1, 2, 21]
    """
    return max(cores // jobs, 1)


def of_study(root: Path, folder: Path, left: Mapping[str, str]) -> dict[str, State]:
    """Return the state of each cell that runs on this machine now, or failed when it last did, by its name.

    Args:
        root: the project's root.
        folder: of the study's logs.
        left: the experiment of each cell that is not finished, by the cell's name.
    """
    states = {}
    for cell, experiment in left.items():
        if cell_clones.is_at_work(root, experiment):
            states[cell] = State("running")
        elif reason := logs.noted_failure(folder / f"{cell}.log", experiment):
            states[cell] = State("failed", reason)
    return states


class Local:
    """The executor of this machine.

    The next cell starts when those before it train or have ended, so that what they share is made once.

    Args:
        root: the project's root, as which each cell is run in a copy.
        folder: of what the cells print.
        places: the GPU of each cell that runs at a time; None is no one in particular.
    """

    def __init__(self, root: Path, folder: Path, places: Sequence[str | None]) -> None:
        self.look_every = LOOK_EVERY
        self._snapshot = ProjectSnapshot(root)
        self._folder = folder
        self._free = list(places)
        self._waiting: list[Task] = []
        self._running: dict[str, Running] = {}
        self._ended: dict[str, State] = {}
        self._logs: dict[str, Path] = {}

    def submit(self, task: Task) -> str:
        """Take a cell in; it begins when there is a place for it."""
        self._waiting.append(task)
        self._logs[task.experiment] = (self._folder / f"{task.cell}.log").resolve()
        return task.experiment

    def state(self, handles: Sequence[str]) -> Mapping[str, State]:
        """Return the state of each, after starting the next one if it may."""
        if self._waiting and self._free and all(logs.is_training(self.log(one)) for one in self._running):
            self._start(self._waiting.pop(0), self._free.pop(0))
        for handle, one in list(self._running.items()):
            if end := one.ended():
                self._ended[handle] = end
                # The GPU that has been free for longest is the next one's.
                self._free.append(self._running.pop(handle).gpu)
        return {handle: self._state(handle) for handle in handles}

    def _start(self, task: Task, gpu: str | None) -> None:
        """Start a cell; one that cannot be set up has failed, and the others go on."""
        log = self.log(task.experiment)
        try:
            self._running[task.experiment] = Running(task, self._snapshot, log, gpu)
        except (InputError, OSError) as error:
            self._free.append(gpu)
            cell_clones.remove(self._snapshot.root, task.experiment)
            self._ended[task.experiment] = _failed(log, task.experiment, f"it could not be set up: {error}")

    def _state(self, handle: str) -> State:
        return self._ended.get(handle) or State("running" if handle in self._running else "waiting")

    def log(self, handle: str) -> Path:
        """Return the file of what a cell prints."""
        return self._logs[handle]

    def cancel(self, handles: Sequence[str]) -> None:
        """End cells, and let those that wait never begin."""
        self._waiting = [task for task in self._waiting if task.experiment not in handles]
        ending = [one for handle in handles if (one := self._running.pop(handle, None))]
        stop_all([one.process for one in ending], first=signal.SIGINT)
        for one in ending:
            one.remove()


class Running:
    """A cell that runs.

    Args:
        task: what to run.
        snapshot: what it is run in a copy of.
        log: where what it prints goes.
        gpu: the only one that it sees, as CUDA's variable names it; None for all.

    Attributes:
        process: its DVC and all that it starts.
    """

    def __init__(self, task: Task, snapshot: ProjectSnapshot, log: Path, gpu: str | None = None) -> None:
        self.gpu = gpu
        self._name = task.experiment
        self._own = task.own
        self._snapshot = snapshot
        self._log = log
        environment = os.environ | {paths.ROOT_VARIABLE: str(snapshot.root)}
        # A cell that names a GPU by its number counts them all.
        if gpu is not None and task.device in gpus.ON_A_GPU:
            environment[gpus.VARIABLE] = gpu
        log.parent.mkdir(parents=True, exist_ok=True)
        # A link of a run elsewhere stays what it leads to.
        log.unlink(missing_ok=True)
        with log.open("w", encoding="utf-8") as stream:
            self._project = snapshot.copy(task.experiment)
            own_files.note(self._project, task.own)
            self.process = CellProcess(
                self._project, task.experiment, task.overrides, environment=environment, stream=stream
            )

    def ended(self) -> State | None:
        """Return how it ended; None while it runs."""
        if (code := self.process.status()) is None:
            return None
        failure = _why(self._log, code) if code else ""
        try:
            if not failure and (failure := own_files.changed_since(self._project, self._own)):
                cell_clones.remove(self._snapshot.root, self._name)
            else:
                cell_clones.bring_back(self._snapshot.root, self._name)
        except (InputError, OSError) as error:
            failure = failure or str(error)
        return _failed(self._log, self._name, failure) if failure else State("finished")

    def remove(self) -> None:
        """Remove the copy that it ran in."""
        cell_clones.remove(self._snapshot.root, self._name)


def _why(log: Path, code: int) -> str:
    """Return why a cell failed whose DVC ended with this code; what was killed, it or a stage, left no error."""
    if killed := logs.killed_by(code):
        return logs.without_error(log, killed)
    failure = logs.failure(log, f"dvc ended with {code}")
    stage = logs.EXITED.search(failure)
    killed = logs.killed_by(int(stage[1])) if stage else ""
    return f"{killed}: {failure}" if killed else failure


def _failed(log: Path, experiment: str, reason: str) -> State:
    """Note in a cell's log that it has failed, where the disk has room for that, and return its state."""
    with suppress(OSError):
        logs.note_failure(log, experiment, reason)
    return State("failed", reason)
