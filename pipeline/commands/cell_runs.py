"""Cells run one by one or a few at a time, with a bar over their trainings, by one command at a time in a clone."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from pipeline.commands import cells, copies, driving
from pipeline.commands.cells import Cell
from pipeline.commands.driving import Ended
from pipeline.core import paths
from pipeline.core.holding import held

STATE = Path(".dvc/tmp/studies")


def run_missing(study: str, planned: Sequence[Cell], *, jobs: int) -> list[Ended]:
    """Run the cells that DVC does not have yet; return how each of these ended."""
    there = cells.finished(Path.cwd())
    left = [cell for cell in planned if cell.key not in there]
    return _drive(study, planned, left, jobs=jobs) if left else []


def _drive(study: str, planned: Sequence[Cell], left: Sequence[Cell], *, jobs: int) -> list[Ended]:
    """Run the cells with a bar over their trainings; return how each ended."""
    tasks = [
        driving.Task(cell.name, cell.experiment(study), cell.overrides, len(cell.resolved.recipe.repeats))
        for cell in left
    ]
    every, all_ended = cells.trainings(planned), list[Ended]()
    with tqdm(total=every, initial=every - cells.trainings(left), desc=study, unit="training", disable=None) as bar:
        run = driving.run(tasks, jobs=jobs, logs=STATE / study, on_trained=lambda count: _advance(bar, count))
        with closing(run):
            for ended in run:
                all_ended.append(ended)
                name, cached = ended.task.cell, " (its result was there)" if ended.cached else ""
                tqdm.write(f"failed: {name}: {ended.failure}" if ended.failure else f"finished: {name}{cached}")
    return all_ended


def _advance(bar: "tqdm[Any]", count: int) -> None:
    """Move the bar, or let its clock go on."""
    if count:
        bar.update(count)
    else:
        bar.refresh()


@contextmanager
def alone(words: str, *, kind: str) -> Iterator[None]:
    """Hold the clone: two at a time would run the same cells twice; then tidy up what a killed one left.

    Args:
        words: of the command, for who waits.
        kind: what runs, for the lines of this one.
    """

    def say(line: str) -> None:
        click.echo(f"{kind}: {line}", err=True)

    def waiting(who: str) -> None:
        say(f"{who} runs in this clone; waiting for it, Ctrl-C ends the waiting")

    root = paths.root()
    with ExitStack() as stack:
        try:
            stack.enter_context(held(root / STATE / "lock", words, waiting=waiting))
        except KeyboardInterrupt:
            say("no longer waiting; the other goes on")
            raise SystemExit(130) from None
        copies.take_over(root, say)
        try:
            yield
        except KeyboardInterrupt:
            say("interrupted; nothing is left running, and the same command goes on")
            raise SystemExit(130) from None
