"""Driving an executor: all cells submitted, looked at now and then, and each given as it ends."""

import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.running.executors import logs
from pipeline.running.executors.contract import Executor, State, Task


class Ended(NamedTuple):
    """A cell that has ended.

    Attributes:
        task: what was run.
        failure: why it failed; empty where it did not.
        cached: whether its result was there.
        not_sent: why MLflow does not have it, and what helps; empty where it has.
    """

    task: Task
    failure: str
    cached: bool
    not_sent: str = ""


def run(tasks: Sequence[Task], executor: Executor, *, on_trained: Callable[[int], None]) -> Generator[Ended]:
    """Run all tasks, and yield each as it ends.

    Args:
        tasks: what to run.
        executor: what runs them.
        on_trained: told at each look how many networks more are trained.

    Raises:
        KeyboardInterrupt: after all that runs has been stopped.
    """
    left = {executor.submit(task): task for task in tasks}
    reported: dict[str, int] = {}
    try:
        while left:
            states = executor.state(list(left))
            counts = {
                handle: _trained(left[handle], state, executor.log(handle), before=reported.get(handle, 0))
                for handle, state in states.items()
            }
            # Once a look: of thousands of cells, to draw the bar for each took a fifth of a core.
            on_trained(sum(count - reported.get(handle, 0) for handle, count in counts.items()))
            reported |= counts
            for handle, state in states.items():
                if state.has_ended():
                    task = left.pop(handle)
                    failure = state.reason if state.phase == "failed" else ""
                    log = executor.log(handle)
                    yield Ended(task, failure, logs.was_cached(log), logs.not_sent(log))
            if left:
                time.sleep(executor.look_every)
    finally:
        executor.cancel(list(left))


def _trained(task: Task, state: State, log: Path, *, before: int) -> int:
    """Return how many of a cell's networks are trained; the log of one that waits may be that of a run before."""
    if state.phase == "waiting":
        return before
    return task.trainings if state.phase == "finished" else logs.trained(log)
