"""The table of executors, by their word after --on."""

from collections.abc import Callable
from importlib import import_module

from pipeline.running.executors.contract import Prepared, Request

# Each has a function `prepare`.
EXECUTORS = {
    "local": "pipeline.running.executors.local",
    "slurm": "pipeline.running.executors.slurm",
}


def prepare(on: str, request: Request) -> Prepared:
    """Return the executor for cells.

    Raises:
        InputError: where it cannot run them, with the way out.
    """
    make: Callable[[Request], Prepared] = import_module(EXECUTORS[on]).prepare
    return make(request)
