"""`orbweaver study`: a table of experiments, run, resumed and reported by one name."""

import shlex
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.commands import cell_runs, cells
from pipeline.commands.cells import Cell
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.studies import definition


@click.group(name="study")
def command() -> None:
    """Experiments side by side, such as a paper's table: run, resumed and reported by one name."""


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select cells, the same for each command."""
    given = click.option(
        "-S", "--set", "sets", multiple=True, metavar="KEY=VALUE", help="For all cells; may be repeated."
    )
    data = click.option("--data", help="The data set of all cells.")
    return click.argument("name")(data(given(function)))


@command.command(name="list")
def list_() -> None:
    """List the studies in `studies/`."""
    width = max(map(len, definition.names()), default=0)
    for name in definition.names():
        study = definition.find(name).study
        source = f" ({study.source.paper}: {study.source.table})" if study.source else ""
        click.echo(f"{name:<{width}}  {study.title}{source}")


@command.command()
@_options
def show(name: str, data: str | None, sets: tuple[str, ...]) -> None:
    """List the cells of study NAME, or of a .yaml file, with their settings and states, and which would run.

    With the words after NAME that it was run with. Cells that were started, here or on SLURM, wait, run or have failed.
    """
    from pipeline.commands.executors import job_states, local

    named = definition.find(name)
    planned = cells.plan(named, data=data, sets=sets)
    there = cells.finished(Path.cwd())
    left = [cell for cell in planned if cell.key not in there]
    experiments = {cell.name: cell.experiment(named.name) for cell in left}
    logs = cell_runs.STATE / named.name
    states = job_states.of_study(logs, experiments, lambda line: cell_runs.say("study", [line]))
    states |= local.of_study(Path.cwd(), logs, experiments)
    click.echo(f"{named.study.title}\n")
    width = max(len(cell.name) for cell in planned)
    for cell in planned:
        phase, reason = states.get(cell.name, ("finished" if cell.key in there else "to run", ""))
        click.echo(f"  {cell.name:<{width}}  {phase:<8}  {cell.key}  {shlex.join(cell.overrides)}")
        if reason:
            click.echo(f"  {'':<{width}}  {reason}")
    counts = Counter(state.phase for state in states.values())
    of_these = ", ".join(f"{count} {phase}" for phase, count in counts.items())
    click.echo(
        f"\n  {len(planned)} cells, {cells.trainings(planned)} trainings; to run: {len(left)} cells, "
        f"{cells.trainings(left)} trainings" + (f"; of these {of_these}" if of_these else "")
    )
    _say_merged(named, planned)


def _say_merged(named: definition.Named, planned: Sequence[Cell]) -> None:
    if same := len(named.study.settings()) - len(planned):
        click.echo(f"  note: {same} cells are the same experiment as one before them, and left out")


@command.command()
@click.option("--init", is_flag=True, help="Write one with comments.")
def where(init: bool) -> None:
    """Say what where.yaml gives each cell that runs with --on slurm."""
    from pipeline.commands.executors import where as settings

    if init:
        settings.write()
        click.echo(f"{settings.FILE}: edit it, then `orbweaver study run NAME --on slurm`")
        return
    if remotes := settings.read().remotes:
        click.echo(f"shared by git's remote {remotes.git} and DVC's remote {remotes.dvc}")
    slurm = settings.slurm()
    click.echo(shlex.join(["sbatch", *slurm.options()]))
    click.echo(f"-S threads={slurm.cpus} -S device={slurm.computes_on()}, in a clone in {slurm.scratch}")


@command.command()
@_options
@cell_runs.options
@click.option("--detach", is_flag=True, help="End when all is submitted; the same command attaches again.")
def run(name: str, data: str | None, sets: tuple[str, ...], on: str, jobs: int | None, detach: bool) -> None:
    """Run what is not there yet of study NAME, or of a .yaml file.

    Each cell is a DVC experiment. Ctrl-C stops all; the same command goes on. Your params.yaml stays as it is; changes
    of files that git knows are run as they are, committed or not.
    """
    named = definition.find(name)
    started = time.monotonic()
    planned = cells.plan(named, data=data, sets=sets)
    prepared = cell_runs.prepare(
        named.name, [cell.resolved.recipe for cell in planned], sets, on=on, jobs=jobs, detach=detach
    )
    if prepared.words:
        sets = (*sets, *prepared.words)
        planned = cells.plan(named, data=data, sets=sets)
    cell_runs.say("study", prepared.lines)
    _say_merged(named, planned)
    with cell_runs.alone(f"study run {named.name}", kind="study"):
        if not cells.are_current(planned):
            # Edited while another command was waited for: the files of now are run.
            planned = cells.plan(named, data=data, sets=sets)
        if detach:
            count = cell_runs.submit_missing(named.name, planned, prepared.start)
            click.echo(f"study {named.name}: {count} cells go on by themselves; the same command attaches")
            click.echo(f"what they do: {_again('show', name, data, sets)}")
            return
        ended = cell_runs.run_missing(named.name, planned, prepared.start)
    failures = [f"{one.task.cell}: {one.failure}" for one in ended if one.failure]
    cached = sum(one.cached and not one.failure for one in ended)
    click.echo(
        f"study {named.name}: {len(planned) - len(ended)} cells were there, {len(ended) - len(failures)} ran, "
        f"{len(failures)} failed, in {time.monotonic() - started:.0f} s"
        + (f"; of those that ran, {cached} had their result in DVC's cache" if cached else "")
    )
    if failures:
        raise InputError(
            f"{len(failures)} of {len(planned)} cells failed, first {failures[0]}; the same command tries again"
        )
    click.echo(f"its page: {_again('report', name, data, sets)}")


def _again(command: str, name: str, data: str | None, sets: Sequence[str]) -> str:
    words = [name, *(["--data", data] if data else []), *(word for one in sets for word in ("-S", one))]
    return f"orbweaver study {command} {shlex.join(words)}"


@command.command()
@_options
def report(name: str, data: str | None, sets: tuple[str, ...]) -> None:
    """Write the page of study NAME, or of a .yaml file: ours beside as printed, differences, curves.

    With the words after NAME that it was run with. What has not run is shown as missing.
    """
    from pipeline.commands import gathering
    from pipeline.studies import page

    named = definition.find(name)
    planned = cells.plan(named, data=data, sets=sets)
    _say_merged(named, planned)
    results = gathering.results(named.study, planned, cell_runs.finished(planned), logs=cell_runs.STATE / named.name)
    commands = [_again(command, name, data, sets) for command in ("run", "report")]
    content = page.content(named.name, named.study, results, commands=commands)
    folder = paths.STUDIES / named.name
    with paths.written_whole(folder) as target:
        gathering.write(target, content)
    for line in content["answer"]:
        click.echo(line)
    click.echo(f"see {folder / 'index.html'}")
