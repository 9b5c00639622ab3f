"""SLURM's own commands: sbatch, squeue, scancel, scontrol. Nothing is asked of its accounting database."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.core.errors import InputError

PATIENCE = 120.0
# How a job that is no longer known is called.
UNKNOWN_JOB = "Invalid job id"
# SLURM's own default.
ARRAY_SIZE = 1001
# Words of a call.
MOST = 200
# Before its time is over a cell is told so, and has these seconds to write a checkpoint.
WARNING_SECONDS = 120

WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
# That of a job whose end is decided and whose processes are still there.
ENDING = "COMPLETING"
# Its words for a job that waits for a person, and ours.
HOLDS = {
    "JobHeldUser": "`scontrol release` lets it begin",
    "JobHeldAdmin": "an administrator holds it",
    "JobHoldMaxRequeue": "it was queued again too often; `scontrol release` lets it begin",
    "launch failed requeued held": "its node could not start it; `scontrol release` tries again",
    "PartitionTimeLimit": "its partition allows less `time` than where.yaml has",
    "PartitionConfig": "no node of its partition has what where.yaml asks for, such as so many `cpus`",
    "DependencyNeverSatisfied": "what it waits for never ends; Ctrl-C, then the same command",
}
# Its words for a job that has ended otherwise than by itself, and ours.
ENDS = {
    "TIMEOUT": "its time was over; give more `time` in where.yaml",
    "DEADLINE": "its deadline was over",
    "OUT_OF_MEMORY": "its memory was not enough; give more `memory` in where.yaml",
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not start",
    "CANCELLED": "it was cancelled",
    "PREEMPTED": "another job took its place",
    "REVOKED": "another cluster took it",
}
ENDED = {"COMPLETED", "FAILED", *ENDS}
# How sbatch refuses more jobs than a user may have, in which each job of an array counts; the last is of others too.
LIMIT = re.compile(r"SubmitJob\w*Limit|MaxSubmitJobs|Job violates accounting/QOS policy")
# How sbatch, or we, say that no answer came: what was asked may be done all the same.
NO_ANSWER = re.compile(r"no answer in|timed out|Zero Bytes|Unable to contact")
# Beginnings of variables of the user that stand for options: of what is listed, and how it is printed.
OPTION_PREFIXES = ("SQUEUE_", "SCANCEL_", "SCONTROL_")
# The same by their whole names: sbatch would wait for its jobs, write their errors elsewhere, or submit to a cluster
# that is not asked later; times would have blanks in them, and an error could have the status 0. Where a job that was
# queued again submits others, these would seem to have begun as often as it has.
OPTION_VARIABLES = {
    "SBATCH_WAIT",
    "SBATCH_ERROR",
    "SBATCH_CLUSTERS",
    "SLURM_CLUSTERS",
    "SLURM_TIME_FORMAT",
    "SLURM_EXIT_ERROR",
    "SLURM_RESTART_COUNT",
}
NOT_HERE = "not on the PATH; run this on a login node of the cluster, from which jobs are submitted"


class UnreachableError(Exception):
    """Error of a scheduler that does not answer for now."""


def check() -> None:
    """Refuse a machine from which nothing can be submitted.

    Raises:
        InputError: naming what is missing.
    """
    for name in ("sbatch", "squeue", "scancel"):
        if shutil.which(name) is None:
            raise InputError(f"--on slurm: {name}: {NOT_HERE}")


def submit(script: Path, *, count: int, at_once: int, after: Sequence[str], options: Sequence[str], name: str) -> str:
    """Submit an array of jobs and return its number.

    Args:
        script: what each runs, with its place in the array in SLURM_ARRAY_TASK_ID.
        count: how many.
        at_once: how many may run at a time; 0 for no limit.
        after: the numbers of jobs that have to end before, well or not.
        options: further ones of sbatch.
        name: of the job.

    Raises:
        InputError: with sbatch's own line.
    """
    array = f"--array=0-{count - 1}" + (f"%{at_once}" if at_once else "")
    words = ["sbatch", "--parsable", array, "--requeue", "--open-mode=append", "--nodes=1", "--ntasks=1"]
    words += [f"--signal=B:USR1@{WARNING_SECONDS}", f"--job-name={name}", f"--chdir={script.parent}"]
    # A percent sign of the folder's own is none of SLURM's patterns.
    words += [f"--output={str(script.parent).replace('%', '%%')}/%a.log", *options]
    if after:
        words.append(f"--dependency=afterany:{':'.join(after)}")
    try:
        printed = _call(*words, str(script))
    except UnreachableError as error:
        raise InputError(f"sbatch: {error}; {_way_out(str(error), count, name)}") from None
    return printed.strip().partition(";")[0]


def _way_out(refusal: str, count: int, name: str) -> str:
    if NO_ANSWER.search(refusal):
        return (
            f"it may have submitted jobs all the same: `squeue --me --name={name}` lists them, and `scancel NUMBER` "
            "cancels them; then run the same command again"
        )
    again = "see `slurm` in where.yaml, and run the same command again"
    if not LIMIT.search(refusal):
        return again
    return (
        f"if the cluster lets you have fewer jobs at a time than the {count} of this array and those in the queue, "
        f"split the study into several of fewer cells, and run one after another; else {again}"
    )


def states(jobs: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """Return state and reason of each job of arrays, by `NUMBER_PLACE`; those long gone are left out.

    Raises:
        UnreachableError: where the scheduler does not answer.
    """
    by_place = {}
    for place, state, reason in _listed(jobs, "-t", "all", "-o", "%i %T %r"):
        by_place[place] = (state, "" if reason == "None" else reason)
    return by_place


def began(jobs: Sequence[str]) -> Mapping[str, str]:
    """Return since when and where each job of arrays runs, by `NUMBER_PLACE`.

    Raises:
        UnreachableError: where the scheduler does not answer.
    """
    listed = _listed(jobs, "-t", "running", "-o", "%i %S %N")
    return {place: f"since {time.replace('T', ' ')} on {node}" for place, time, node in listed}


def _listed(jobs: Sequence[str], *options: str) -> Iterator[Sequence[str]]:
    """Yield three words of each job of arrays, the last to the end of its line; those long gone are left out."""
    for job in jobs:
        try:
            listed = _call("squeue", "-h", "-r", "-j", job, *options)
        except UnreachableError as error:
            if UNKNOWN_JOB not in str(error):
                raise
            continue
        for line in listed.splitlines():
            yield [*line.split(maxsplit=2), "", ""][:3]


def cancel(places: Iterable[str]) -> None:
    """Cancel jobs; those that have ended stay as they are."""
    listed = list(places)
    for some in (listed[first : first + MOST] for first in range(0, len(listed), MOST)):
        try:
            _call("scancel", *some)
        except UnreachableError as error:
            if UNKNOWN_JOB not in str(error):
                raise InputError(f"scancel: {error}; cancel them by hand: scancel {' '.join(some)}") from None


def array_size() -> int:
    """Return how many jobs an array may have."""
    try:
        match = re.search(r"^MaxArraySize\s*=\s*(\d+)", _call("scontrol", "show", "config"), re.MULTILINE)
    except (UnreachableError, InputError):
        return ARRAY_SIZE
    return max(int(match[1]), 1) if match else ARRAY_SIZE


def requeue(place: str) -> None:
    """Queue a job again that runs, which ends it.

    Raises:
        UnreachableError: where that cannot be.
    """
    _call("scontrol", "requeue", place)


def _call(*words: str) -> str:
    try:
        # Ctrl-C in a terminal reaches only us: a command that it ended may have done its work.
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={
                key: value
                for key, value in os.environ.items()
                if not key.startswith(OPTION_PREFIXES) and key not in OPTION_VARIABLES
            },
        )
    except FileNotFoundError:
        raise InputError(f"{words[0]}: {NOT_HERE}") from None
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"no answer in {PATIENCE:.0f} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        # Who reports it names the command.
        line = lines[-1].removeprefix(f"{words[0]}: error: ") if lines else f"exit status {done.returncode}"
        raise UnreachableError(line)
    return done.stdout
