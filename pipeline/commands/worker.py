"""`orbweaver cell`: one cell of a study on a node of a cluster, from one file; users do not type it.

The node makes a clone of its own on its own disk, as DVC's locks and databases must not be shared. DVC's cache, the
user's clone and the checkpoints are; or where machines share no file system, a remote of DVC and one of git. What a
cell gives is in the cache, or the remote, before its experiment is a reference of git in the clone, or the other
remote; so that reference says that all is there.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import click

from pipeline.core import paths, seeding
from pipeline.core.errors import InputError
from pipeline.core.stopping import STOPPED, StopRequest, noted
from pipeline.experiments import cloning
from pipeline.running import cell_clones, cells, own_files, sharing
from pipeline.running.cell_clones import ProjectSnapshot
from pipeline.running.executors import jobs, scheduler
from pipeline.running.executors.jobs import MOST_STARTS, Job
from pipeline.running.executors.processes import LOOK_EVERY, CellProcess
from pipeline.running.remote_checkpoints import BackgroundSharing, RemoteCheckpoints

ResultT = TypeVar("ResultT")
RESTARTS = "SLURM_RESTART_COUNT"
# What all cells of the user's clone share beside DVC's cache.
SHARED = (paths.CHECKPOINTS, paths.CHANNELS)
# Seconds for a checkpoint, before SIGKILL comes to all.
PATIENCE = {"SIGUSR1": scheduler.WARNING_SECONDS - 30.0}
# Seconds from a signal, in which what the next node needs goes to the remotes; then this job is queued again anyway.
SHARING = scheduler.WARNING_SECONDS - 15.0
LAST_CHECKPOINT = 30.0
# Seconds between two tries of what another machine may hinder, each up to half longer or shorter: a minute in all.
WAITS = (2.0, 4.0, 8.0, 16.0, 32.0)


@click.command(name="cell", hidden=True)
@click.argument("file", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Run the cell of FILE in a clone of its own, and bring its experiment, or its answer, into the user's clone."""
    job = jobs.read(file)
    if _is_there(job):
        click.echo(f"{job.experiment}: it is there")
        return
    restarts = int(os.environ.get(RESTARTS, "0"))
    if restarts >= MOST_STARTS:
        raise InputError(
            f"{job.experiment}: its node, or another job, ended it {MOST_STARTS} times; the lines above say where, and "
            "the same command starts it again"
        )
    # The same at each start: what a kill left is removed by the next one. Another clone may run an equal cell here.
    place = scratch(job.scratch) / f"orbweaver-{os.getuid()}-{_clone_of(job)}-{job.experiment}"
    shutil.rmtree(place, ignore_errors=True)
    try:
        if job.record:
            from pipeline.running import rerun_job

            rerun_job.make(job, place)
            return
        with noted() as request:
            status = run(job, place, request)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if request.reason == signal.SIGUSR1.name and status:
        begin_again(job, restarts)
    raise SystemExit(STOPPED if request.reason and status else status)


def _clone_of(job: Job) -> str:
    """Return letters for the user's clone; the reference has them of a machine that the node does not see."""
    return seeding.digest([str(job.root), job.reference.rpartition("/")[0]])[: cells.KEY_LENGTH]


def scratch(place: str) -> Path:
    """Return the folder of this node that where.yaml names.

    Raises:
        InputError: where it is none, or cannot be written to.
    """
    expanded = os.path.expandvars(place)
    if "$" in expanded:
        raise InputError(
            f"where.yaml: slurm.scratch: {place!r} names a variable that is not set on {os.uname().nodename}; "
            "name a folder"
        )
    if not (Path(expanded).is_dir() and os.access(expanded, os.W_OK)):
        raise InputError(
            f"where.yaml: slurm.scratch: {expanded!r} is not a writable folder on {os.uname().nodename}; "
            "name one that all nodes have"
        )
    return Path(expanded).resolve()


def run(job: Job, place: Path, request: StopRequest) -> int:
    """Run DVC in a clone in a folder, and fetch its experiment into the user's clone; return DVC's status.

    Args:
        job: the cell.
        place: a folder of this node's own, which is made.
        request: of the signals to stop.

    Raises:
        InputError: where the clone cannot be made, or the experiment cannot be fetched.
    """
    # Settings of git and DVC that are not committed may hold passwords, and the node's disk is everybody's.
    place.mkdir(mode=0o700)
    project = copy(job, place / "clone")
    checkpoints = RemoteCheckpoints(project, job.remotes, job.experiment) if job.remotes else None
    if checkpoints:
        checkpoints.bring()
    variables = environment(place, os.environ)
    background = BackgroundSharing(checkpoints) if checkpoints else None
    process = CellProcess(project, job.experiment, job.overrides, environment=variables, pull=job.remotes is not None)
    while (status := process.status()) is None and not request.reason:
        time.sleep(LOOK_EVERY)
    if status is None or (request.reason and status):
        # At SIGTERM DVC ends at once, before the training that it started, which still writes its checkpoint.
        deadline = time.monotonic() + SHARING
        # SLURM sends SIGTERM to every process of a job, and the early warning to this one alone.
        first = signal.SIGTERM if request.reason == signal.SIGTERM.name else signal.SIGINT
        process.stop(PATIENCE.get(request.reason, 25.0), first=first)
        if checkpoints and background:
            last = (checkpoints.give, lambda: _give_stages(job, project))
            if not background.end(deadline - time.monotonic(), *last):
                click.echo(f"{job.experiment}: a remote does not answer; what it does not have is computed again")
        return STOPPED
    if background:
        # A checkpoint that still goes there would come after those that are removed.
        background.end(LAST_CHECKPOINT)
    if status == 0:
        bring_back(job, project)
        if checkpoints:
            checkpoints.drop()
    return status


def _give_stages(job: Job, project: Path) -> None:
    """Share what stages of an unfinished cell gave; where that fails, they run again."""
    try:
        if job.remotes:
            sharing.give_stages(project, job.remotes)
    except InputError as error:
        click.echo(f"{job.experiment}: its finished stages were not shared: {error}")


def copy(job: Job, clone: Path) -> Path:
    """Make the clone of a cell; return the project's root in it.

    Where the node sees the user's clone, its git objects, checkpoints and DVC's cache are used; else all comes from
    remotes, which are written to before anything is trained.
    """
    if remotes := job.remotes:
        where = {"reference": job.reference, "commit": job.commit, "changes": job.changes, "prefix": job.prefix}

        def cloned() -> Path:
            # What a try before this one left.
            shutil.rmtree(clone, ignore_errors=True)
            return sharing.clone(remotes, clone, **where)

        project = _persistently(cloned)
        _persistently(lambda: sharing.check(project, remotes))
        _persistently(lambda: sharing.forget_lost(project, remotes))
        return project
    project = ProjectSnapshot(job.root, commit=job.commit, changes=job.changes, cache=str(job.cache)).copy_to(clone)
    for folder in SHARED:
        (job.root / folder).mkdir(parents=True, exist_ok=True)
        (project / folder).parent.mkdir(parents=True, exist_ok=True)
        (project / folder).symlink_to(job.root / folder)
    return project


def environment(place: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of DVC on a node.

    A tracking server is asked from here; a file of SQLite must not be written by many nodes, so that `orbweaver sync`
    in the user's clone has to fill it.
    """
    from pipeline import tracking

    neutral = cloning.neutral(variables)
    if tracking.is_server(variables.get("MLFLOW_TRACKING_URI", "")):
        neutral |= {name: value for name, value in variables.items() if name.startswith("MLFLOW_")}
    return neutral | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(place / "site")}


def bring_back(job: Job, project: Path) -> None:
    """Bring the experiment into the user's clone, or the remotes, into which others may bring theirs just then.

    Raises:
        InputError: where that fails every time, or it is not of the files that its name stands for.
    """
    if changed := own_files.changed_since(project, job.own):
        raise InputError(changed)
    if remotes := job.remotes:
        _persistently(lambda: sharing.give(project, remotes, [cells.key_of(job.experiment)], run_cache=True))
    else:
        _persistently(lambda: cell_clones.fetch(job.root, project))
    if not _is_there(job):
        raise InputError(f"{job.experiment}: DVC exited without an error but made no experiment; see its lines above")


def _persistently(act: Callable[[], ResultT]) -> ResultT:
    """Do what another machine may hinder for a moment; the last try's error is raised."""
    for seconds in WAITS:
        with suppress(InputError):
            return act()
        time.sleep(seconds * random.uniform(0.5, 1.5))
    return act()


def begin_again(job: Job, restarts: int) -> None:
    """Queue this job again, whose time is over: it goes on from its checkpoint.

    Raises:
        InputError: where it has been started too often, or the scheduler refuses.
    """
    way_out = "give more `time` in where.yaml; the same command goes on from its checkpoint"
    if restarts + 1 >= MOST_STARTS:
        raise InputError(f"{job.experiment}: its time was over {MOST_STARTS} times; {way_out}")
    place = f"{os.environ.get('SLURM_ARRAY_JOB_ID', '')}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}"
    click.echo(f"{job.experiment}: its time is nearly over, so it is queued again and goes on from its checkpoint")
    try:
        scheduler.requeue(place)
    except scheduler.UnreachableError as error:
        raise InputError(
            f"{job.experiment}: its time was over, and it could not be queued again: {error}; {way_out}"
        ) from None
    # The scheduler ends this process; should it not, the job has failed.
    with suppress(KeyboardInterrupt):
        time.sleep(60)


def _is_there(job: Job) -> bool:
    if remotes := job.remotes:
        return cells.key_of(job.experiment) in _persistently(lambda: sharing.there(remotes))
    return cells.key_of(job.experiment) in cells.finished(job.root)
