"""The states of cells that were submitted: from what SLURM says of a job, and from its log."""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.running.executors import jobs, logs, scheduler
from pipeline.running.executors.contract import State
from pipeline.running.executors.submitted import RECORD, Submitted

# DVC's words for a stage that SIGKILL has ended.
KILLED = "exited with -9"
# SLURM's own line in the log of a job that it has ended, and the state that it stands for.
LAST_WORDS = re.compile(r"^slurmstepd\S*: error: \*\*\* .*CANCELLED AT \S+(?: DUE TO ([A-Z ]+).*)? \*\*\*")
CAUSES = {None: "CANCELLED", "TIME LIMIT": "TIMEOUT", "PREEMPTION": "PREEMPTED", "NODE FAILURE": "NODE_FAIL"}


def alive(name: str, reason: str) -> State | None:
    """Return the state of a job that waits or runs; None for one that has ended, or is not known any more.

    Args:
        name: of the state, as SLURM has it.
        reason: why it waits.
    """
    if name in scheduler.WAITING:
        # Some versions have no spaces in it.
        way_out = scheduler.HOLDS.get(reason.replace("_", " "), "")
        return State("waiting", f"{reason}: {way_out}" if way_out else reason)
    return State("running") if name and name not in scheduler.ENDED else None


def failed(name: str, log: Path) -> State:
    """Return the state of a cell whose job has ended and left no experiment, with the reason in a line."""
    # SLURM forgets a job some minutes after its end.
    if (end := name if name in scheduler.ENDS else _end_in(log)) in scheduler.ENDS:
        return State("failed", f"{scheduler.ENDS[end]} (SLURM: {end}; log: {log})")
    reason = logs.failure(log, f"its job has ended and left no experiment (SLURM: {name or 'gone'})")
    # Not every cluster sees for itself which process the memory's limit has ended.
    memory = "; if it was for want of memory, give more `memory` in where.yaml" if KILLED in reason else ""
    return State("failed", reason + memory)


def _end_in(log: Path) -> str:
    """Return the state in which SLURM ended a job, by the log's last error; empty where the job ended by itself."""
    line = LAST_WORDS.match(logs.failure(log, ""))
    return CAUSES.get(line[1] and line[1].strip(), "") if line else ""


def of_study(
    folder: Path, left: Mapping[str, str], say: Callable[[str], None], *, planned: Collection[str] | None = None
) -> dict[str, State]:
    """Return the state of each cell that was submitted, which waits, runs or has failed, by its name.

    Args:
        folder: of the study's logs.
        left: the experiment of each cell that is not finished, by the cell's name.
        say: prints a line where SLURM does not answer, and where jobs run what is no cell any more.
        planned: the experiments of all cells; None where those of jobs are not looked at.
    """
    submitted = Submitted(folder / RECORD)
    queued, began = dict[str, tuple[str, str]](), dict[str, str]()
    try:
        queued |= scheduler.states(submitted.jobs())
        began |= scheduler.began(submitted.jobs())
    except (scheduler.UnreachableError, InputError) as error:
        say(f"squeue: {error}; what jobs {', '.join(submitted.jobs())} do is not known")
        return {}
    others = [] if planned is None else [place for name, place in submitted.places.items() if name not in planned]
    if line := of_before([place for place in others if alive(*queued.get(place, ("", "")))]):
        say(line)
    states = {}
    for cell, experiment in left.items():
        place, log = submitted.places.get(experiment, ""), folder / f"{cell}.log"
        name, reason = queued.get(place, ("", ""))
        if state := alive(name, reason):
            states[cell] = state._replace(reason=began[place]) if place in began else state
        elif name == "COMPLETED":
            states[cell] = State("running", "its job has ended well; its experiment is not seen here yet")
        elif place or (_is_of(log, experiment) and logs.has_failed(log)):
            states[cell] = failed(name, log)
    return states


def of_before(places: Collection[str]) -> str:
    """Return a line on jobs that run what is no cell any more, as the study or what it follows from was edited.

    Args:
        places: of the jobs that wait or run, as SLURM names them; "" is returned for none.
    """
    if not places:
        return ""
    count, them = counted(len(places), "job"), "it" if len(places) == 1 else "them"
    return f"{count} of before an edit, of no cell as it is now; `scancel {' '.join(sorted(places))}` ends {them}"


def _is_of(log: Path, experiment: str) -> bool:
    """Return whether a log is that of a job of an experiment, and not of one before it with other settings."""
    try:
        return jobs.read(log.resolve().with_suffix(".json")).experiment == experiment
    except InputError:
        return False
