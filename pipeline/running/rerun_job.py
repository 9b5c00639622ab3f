"""Making a run again on a cluster: one job, whose answer is a reference of git in the user's clone.

The answer waits there for the command that asks, and is removed when it has been read: asked once more, the run is made
once more.
"""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.core import seeding
from pipeline.core.errors import InputError
from pipeline.core.types import Section
from pipeline.experiments import cloning
from pipeline.running import cell_runs, cells, driving, rerun
from pipeline.running.executors import job_states, where
from pipeline.running.executors.contract import Executor, Task
from pipeline.running.executors.jobs import Job
from pipeline.running.executors.submitted import RECORD, Submitted
from pipeline.running.remotes import named_remotes
from pipeline.tracking import RunOrigin

ANSWERS = "refs/orbweaver/reproduced/"
# The log of the job.
NAME = "reproduce"


class Reproduction(Section):
    """A run to be made again on another machine.

    Attributes:
        recorded: what was made.
        reuse_data: take data and source weights from DVC's cache.
    """

    recorded: RunOrigin
    reuse_data: bool


def compared_on(
    on: str, root: Path, run: str, recorded: RunOrigin, *, reuse_data: bool, detach: bool
) -> dict[str, Any] | None:
    """Make a run again as a job and return the verdict; None where it was left to itself.

    Args:
        on: the word of an executor.
        root: the project's root.
        run: its name.
        recorded: what was made.
        reuse_data: take data and source weights from DVC's cache.
        detach: return when it is submitted, unless its answer is there.

    Raises:
        InputError: where it cannot be submitted, or failed.
    """
    if named_remotes(root):
        raise InputError(
            f"--on {on}: nodes reproduce {run} on the file system of this clone, and {where.FILE} has `remotes` "
            "for nodes that do not share it; leave out --on"
        )
    wanted = Reproduction(recorded=recorded, reuse_data=reuse_data).model_dump_json()
    name = f"{NAME}-{seeding.digest(json.loads(wanted))[: cells.KEY_LENGTH]}"
    prepared = cell_runs.prepare(name, [], [], on=on, jobs=None, detach=detach)
    task = Task(NAME, name, (), len(recorded.repeats), record=wanted)
    with cell_runs.holding(root / cell_runs.STATE / name / "lock", f"reproduce {run}", kind=NAME):
        answer, failure = _answer(root, name), _failure(root / cell_runs.STATE / name, name)
        executor = prepared.start()
        if answer is None and not failure:
            if detach:
                cell_runs.leave(executor, [task])
                return None
            failure = _run(task, executor)
            answer = _answer(root, name)
        # What has ended by itself is no longer to be attached to.
        executor.cancel([])
        if answer is None:
            raise InputError(f"{run}: {failure}; the same command tries again")
        cloning.git(root, "update-ref", "-d", ANSWERS + name)
    return answer


def _failure(folder: Path, name: str) -> str:
    """Return why a job failed that was left to itself; empty where there is none."""
    if not Submitted(folder / RECORD).jobs():
        return ""
    states = job_states.of_study(folder, {NAME: name}, lambda line: cell_runs.say(NAME, [line]))
    return states[NAME].reason if NAME in states and states[NAME].phase == "failed" else ""


def _run(task: Task, executor: Executor) -> str:
    """Run a task to its end; return why it failed, empty where it did not."""
    with closing(driving.run([task], executor, on_trained=lambda _: None)) as running:
        return next(running).failure


def _answer(root: Path, name: str) -> dict[str, Any] | None:
    if not cloning.git(root, "for-each-ref", ANSWERS + name):
        return None
    answer: dict[str, Any] = json.loads(cloning.git(root, "cat-file", "blob", ANSWERS + name))
    return answer


def make(job: Job, place: Path) -> None:
    """Make a job's run again in a folder of this node, and leave the verdict in the user's clone.

    Raises:
        InputError: where it cannot be made, or was asked to stop: it begins from nothing at each start.
    """
    wanted = Reproduction.model_validate_json(job.record)
    place.mkdir(mode=0o700)
    try:
        answer = rerun.compared(job.root, wanted.recorded, reuse_data=wanted.reuse_data, place=place)
    except KeyboardInterrupt as interrupt:
        cause = str(interrupt) or "SIGINT"
        raise InputError(
            f"stopped by {cause}; a reproduction cannot resume: give it more `time` in where.yaml, and run it again"
        ) from None
    blob = cloning.git(job.root, "hash-object", "-w", "--stdin", given=json.dumps(answer))
    cloning.git(job.root, "update-ref", ANSWERS + job.experiment, blob)
