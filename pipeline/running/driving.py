"""Driving an executor: all cells submitted, looked at now and then, and each given as it ends."""

import time
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

from pipeline.running.executors import logs
from pipeline.running.executors.contract import Executor, Task


class Ended(NamedTuple):
    """A cell that has ended: what was run, why it failed, empty where it did not, and whether its result was there."""

    task: Task
    failure: str
    cached: bool


def run(tasks: Sequence[Task], executor: Executor, *, on_trained: Callable[[int], None]) -> Generator[Ended]:
    """Run all, and give each as it ends.

    Args:
        tasks: what to run.
        executor: what runs them.
        on_trained: told how many networks more are trained.

    Raises:
        KeyboardInterrupt: after all that runs has been stopped.
    """
    left = {executor.submit(task): task for task in tasks}
    reported: dict[str, int] = {}
    try:
        while left:
            for handle, state in executor.state(list(left)).items():
                task, log = left[handle], executor.log(handle)
                count = task.trainings if state.phase == "finished" else logs.trained(log)
                on_trained(count - reported.get(handle, 0))
                reported[handle] = count
                if state.has_ended():
                    del left[handle]
                    yield Ended(task, state.reason if state.phase == "failed" else "", logs.was_cached(log))
            if left:
                time.sleep(executor.look_every)
    finally:
        executor.cancel(list(left))
