"""Cells of a study submitted, run and shared, with a progress bar; one command at a time in a clone."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from pipeline.core import paths, provenance
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.core.holding import held
from pipeline.core.recipe import Recipe
from pipeline.reporting import text_tables
from pipeline.running import cell_clones, cells, driving, sharing
from pipeline.running.cells import Cell
from pipeline.running.driving import Ended
from pipeline.running.executors.contract import Executor, Prepared, Request, Task
from pipeline.running.executors.interrupts import StillEndingError
from pipeline.running.remotes import IncompleteError, Remotes, named_remotes

STATE = Path(".dvc/tmp/studies")
# By their words after --on, modules with a function `prepare`.
EXECUTORS = {"local": "pipeline.running.executors.local", "slurm": "pipeline.running.executors.slurm"}
on = click.option("--on", type=click.Choice(list(EXECUTORS)), default="local", show_default=True, help="Where to run.")


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where cells run, the same for each command."""
    jobs = click.option(
        "-j", "--jobs", type=click.IntRange(min=1), help="How many to run at a time; by default one per GPU, or one."
    )
    return on(jobs(function))


def prepare(
    study: str, recipes: Sequence[Recipe], sets: Sequence[str], *, on: str, jobs: int | None, detach: bool = False
) -> Prepared:
    """Return what runs the cells of a study.

    Args:
        study: its name.
        recipes: of its cells.
        sets: what the user sets for all of them, as after -S.
        on: the word of an executor.
        jobs: how many at a time; None for as many as it has places for.
        detach: whether they go on when the command has ended.

    Raises:
        InputError: where it cannot run them.
    """
    make: Callable[[Request], Prepared] = import_module(EXECUTORS[on]).prepare
    return make(Request(study, recipes, sets, jobs, STATE / study, detach))


def run_missing(
    study: str, planned: Sequence[Cell], start: Callable[[], Executor], between: Callable[[], None] = lambda: None
) -> list[Ended]:
    """Run the cells that DVC does not have yet; return how each of these ended.

    Args:
        study: its name.
        planned: all of its cells.
        start: makes what runs them.
        between: called when one has ended, unless it is the last; its error ends the others.
    """
    there = finished(planned)
    left = [cell for cell in planned if cell.key not in there]
    if not left:
        return []
    executor = _started(planned, left, start)
    to_run = f"{len(left)} of {counted(len(planned), 'cell')} to run, {counted(cells.trainings(left), 'training')}"
    say(study, [f"{to_run}; what they print is in {STATE / study}"])
    return _drive(study, planned, left, executor, between)


def check_ended(ended: Sequence[Ended], planned: Sequence[Cell], kind: str) -> None:
    """Refuse to go on without the cells that failed; each has printed its own error.

    Raises:
        InputError: where one failed; what ended before is kept.
    """
    if failed := [one.task.cell for one in ended if one.failure]:
        raise InputError(
            f"{kind} that failed: {len(failed)} of {len(planned)}, first {failed[0]}; their errors are above; the same "
            "command tries again"
        )


def submit_missing(study: str, planned: Sequence[Cell], start: Callable[[], Executor]) -> int:
    """Submit the cells that DVC does not have yet, and leave them; return how many there are."""
    there = finished(planned)
    if left := [cell for cell in planned if cell.key not in there]:
        leave(_started(planned, left, start), [cell.task(study) for cell in left])
    return len(left)


def leave(executor: Executor, tasks: Sequence[Task]) -> None:
    """Submit tasks that go on by themselves; Ctrl-C before all are submitted cancels them."""
    handles = [executor.submit(task) for task in tasks]
    try:
        executor.state(handles)
    except KeyboardInterrupt:
        executor.cancel(handles)
        raise


def _started(planned: Sequence[Cell], left: Sequence[Cell], start: Callable[[], Executor]) -> Executor:
    """Return the executor, which runs cells with the files as they are now.

    Raises:
        InputError: where these are not those that the cells were planned from, and are named by, and where those of the
            user that the cells to run name cannot be used.
    """
    executor = start()
    if not cells.are_current(planned):
        raise InputError(
            f"{paths.PARAMS}, the code or your own files were edited after this command had read them; "
            "the same command runs them as they are now"
        )
    cells.check_places(left)
    if files := ", ".join(map(str, provenance.untracked(cells.STAGES))):
        say("cells", [f"{files}: git does not track this, so no cell has it; `git add` what cells need"])
    return executor


def finished(planned: Sequence[Cell]) -> dict[str, str]:
    """Return the revision of each experiment that DVC has, by key, after those of the remotes have come.

    What is here and not there goes there.
    """
    root = Path.cwd()
    if remotes := named_remotes(root):
        keys = [cell.key for cell in planned]
        brought, given = _shared(sharing.bring, root, remotes, keys), _shared(sharing.give, root, remotes, keys)
        if brought or given:
            say("remotes", [f"{counted(brought, 'cell')} came from there, {given} went there"])
    return cells.finished(root)


def _shared(
    share: Callable[[Path, Remotes, Collection[str]], int], root: Path, remotes: Remotes, keys: Collection[str]
) -> int:
    """Bring or give experiments; one whose data is lost is none, and stops nobody."""
    try:
        return share(root, remotes, keys)
    except IncompleteError as error:
        say("remotes", [str(error)])
        return 0


def _drive(
    study: str, planned: Sequence[Cell], left: Sequence[Cell], executor: Executor, between: Callable[[], None]
) -> list[Ended]:
    """Run the cells with a bar over their trainings; return how each ended."""
    tasks = [cell.task(study) for cell in left]
    every, all_ended = cells.trainings(planned), list[Ended]()
    remotes = named_remotes(root := Path.cwd())
    with tqdm(total=every, initial=every - cells.trainings(left), desc=study, unit="training", disable=None) as bar:
        run = driving.run(tasks, executor, on_trained=lambda count: _advance(bar, count))
        with closing(run):
            for ended in run:
                all_ended.append(ended)
                if remotes and not ended.failure:
                    _give(root, remotes, ended.task.experiment)
                tqdm.write(f"[{len(all_ended)}/{len(left)}] {_ending(ended)}")
                if len(all_ended) < len(left):
                    between()
    say("mlflow", _not_sent(all_ended))
    return all_ended


def _ending(ended: Ended) -> str:
    name, cached = ended.task.cell, " (its result was there)" if ended.cached else ""
    return f"failed: {name}: {ended.failure}" if ended.failure else f"finished: {name}{cached}"


def _not_sent(all_ended: Sequence[Ended]) -> list[str]:
    """Return a line on cells that MLflow does not have, with the reason of the last; each has its own in its log."""
    reasons = [one.not_sent for one in all_ended if one.not_sent]
    if not reasons:
        return []
    return [f"{counted(len(reasons), 'cell')} not sent: {reasons[-1]}"]


def _give(root: Path, remotes: Remotes, experiment: str) -> None:
    """Share a cell; where that fails for now, the others go on and the same command shares it later."""
    try:
        sharing.give(root, remotes, [cells.key_of(experiment)])
    except InputError as error:
        tqdm.write(f"not shared yet: {experiment}: {error}")


def _advance(bar: "tqdm[Any]", count: int) -> None:
    """Move the bar, or let its clock go on."""
    if count:
        bar.update(count)
    else:
        bar.refresh()


def say(kind: str, lines: Sequence[str]) -> None:
    """Print lines apart from what a command is asked for."""
    for line in lines:
        click.echo(text_tables.wrapped(f"{kind}: {line}", err=True), err=True)


@contextmanager
def alone(words: str, *, kind: str) -> Iterator[None]:
    """Hold the clone: two at a time would run the same cells twice; then tidy up what a killed one left.

    Args:
        words: of the command, for who waits.
        kind: what runs, for the lines of this one.
    """
    root = paths.root()
    with holding(root / STATE / "lock", words, kind=kind):
        cell_clones.take_over(root, lambda line: say(kind, [line]))
        yield


@contextmanager
def holding(lock: Path, words: str, *, kind: str) -> Iterator[None]:
    """Hold a lock for the block, and end in a line after Ctrl-C.

    Args:
        lock: the file.
        words: of the command, for who waits.
        kind: what runs, for the lines of this one.
    """
    waits = "runs in this clone; waiting for it, Ctrl-C ends the waiting"
    with ExitStack() as stack:
        try:
            stack.enter_context(held(lock, words, waiting=lambda who: say(kind, [f"{who} {waits}"])))
        except KeyboardInterrupt:
            say(kind, ["no longer waiting; the other goes on"])
            raise SystemExit(130) from None
        try:
            yield
        except StillEndingError as interrupt:
            say(kind, [f"interrupted; {interrupt}"])
            raise SystemExit(130) from None
        except KeyboardInterrupt:
            say(kind, ["interrupted; nothing that it ran is left running, and the same command goes on"])
            raise SystemExit(130) from None
