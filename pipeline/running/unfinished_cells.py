"""Cells of a study that have no result: whether they wait, run or failed, and results with other settings."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.core.counting import counted
from pipeline.experiments import revisions
from pipeline.running import cell_runs, cells
from pipeline.running.cells import Cell
from pipeline.running.executors import job_states, local
from pipeline.running.executors.contract import State


def states(study: str, planned: Sequence[Cell], left: Sequence[Cell]) -> dict[str, State]:
    """Return the state of each cell that was started here or on SLURM, by its name.

    Args:
        study: its name.
        planned: all of its cells.
        left: those that have no result.
    """
    logs, experiments = cell_runs.STATE / study, {cell.name: cell.experiment(study) for cell in left}
    every = {cell.experiment(study) for cell in planned}
    on_slurm = job_states.of_study(logs, experiments, lambda line: cell_runs.say("study", [line]), planned=every)
    return on_slurm | local.of_study(Path.cwd(), logs, experiments)


def with_other_settings(study: str, left: Sequence[Cell]) -> list[str]:
    """Return a line where DVC has results of cells of the same names, made with other settings, code or images."""
    names = {name.removesuffix(f"-{cells.key_of(name)}") for name, _ in revisions.experiments(Path.cwd())}
    count = sum(f"{study}-{cell.name}" in names for cell in left)
    if not count:
        return []
    verb, result = ("has", "a result") if count == 1 else ("have", "results")
    return [
        f"{counted(count, 'cell')} to run {verb} {result} with other settings, code or images; give the same options "
        "as to `study run`"
    ]
