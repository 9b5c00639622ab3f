"""`orbweaver study`: a table of experiments, run, resumed and reported by one name."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from pipeline.core import paths, shell
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.core.overrides import with_data_set
from pipeline.core.shortening import cut
from pipeline.preview import overriding
from pipeline.reporting import text_tables
from pipeline.running import cell_runs, cells, departures, sharing
from pipeline.running.cells import Cell
from pipeline.running.executors.contract import Prepared
from pipeline.running.remotes import named_remotes
from pipeline.studies import definition, set_for_all
from pipeline.studies.definition import Named


@click.group(name="study")
def command() -> None:
    """Run and report named tables of experiments, such as a paper's."""


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select cells, the same for each command."""
    sets = overriding.option("Set a key of params.yaml for all cells; repeatable.")
    data = click.option("--data", help="The data set of all cells, or, where cells differ in it, whose cells alone.")
    return click.argument("name")(data(sets(function)))


def _find(name: str, sets: Sequence[str]) -> Named:
    """Return the study, whose cells what is set for all of them leaves apart."""
    named = definition.find(name)
    set_for_all.check(named, sets)
    return named


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
    """List a study's cells with their settings and states.

    NAME is a study of `orbweaver study list`, or a .yaml file. Give the same options as to `run`. A cell is finished,
    to run, or, if it was started here or on SLURM, waiting, running or failed.
    """
    from pipeline.running import unfinished_cells

    named = _find(name, sets)
    planned = cells.plan(named, data=data, sets=sets)
    there = cells.finished(Path.cwd())
    elsewhere = _in_the_remotes() - set(there)
    left = [cell for cell in planned if cell.key not in there and cell.key not in elsewhere]
    to_run, states = {cell.name for cell in left}, unfinished_cells.states(named.name, planned, left)
    click.echo(f"{text_tables.wrapped(named.study.title)}\n")
    if shared := departures.set_for_all(planned):
        click.echo(f"{text_tables.wrapped(shared)}\n")
    width = max(len(cell.name) for cell in planned)
    for cell in planned:
        phase, reason = states.get(cell.name, ("to run" if cell.name in to_run else "finished", ""))
        line = f"{cell.name:<{width}}  {phase:<8}  {cell.key}  {shell.join(cell.overrides)}"
        click.echo(text_tables.wrapped(line, indent="  "))
        if cell.key in elsewhere:
            reason = "in the remotes; `study report` downloads it"
        if reason:
            click.echo(text_tables.wrapped(reason, indent=" " * (width + 4)))
    counts = Counter(state.phase for state in states.values())
    of_these = ", ".join(f"{count} {phase}" for phase, count in counts.items())
    click.echo(f"\n  {_size(planned)}; to run: {_size(left)}" + (f"; of these {of_these}" if of_these else ""))
    cell_runs.say("study", unfinished_cells.with_other_settings(named.name, left))
    _say_merged(planned)


def _size(some: Sequence[Cell]) -> str:
    return f"{counted(len(some), 'cell')}, {counted(cells.trainings(some), 'training')}"


def _in_the_remotes() -> set[str]:
    """Return the keys of the cells that git's remote has; a line where it does not answer."""
    if not (remotes := named_remotes(Path.cwd())):
        return set()
    try:
        return set(sharing.there(remotes))
    except InputError as error:
        cell_runs.say("study", [str(error)])
        return set()


def _say_merged(planned: Sequence[Cell]) -> None:
    if same := [f"{name} is {cell.name}" for cell in planned for name in cell.same]:
        verb, before = ("is", "it") if len(same) == 1 else ("are", "them")
        names = cut(", ".join(same), definition.LONGEST_LIST)
        these = f"{counted(len(same), 'cell')} {verb}"
        click.echo(f"  note: {these} the same experiment as one before {before}, and left out: {names}")


@command.command()
@click.option("--init", is_flag=True, help="Write a where.yaml with comments.")
def where(init: bool) -> None:
    """Print what where.yaml requests for each cell of --on slurm."""
    from pipeline.running.executors import where as settings

    if init:
        settings.write()
        click.echo(f"{settings.FILE}: edit it, then `orbweaver study run NAME --on slurm`")
        return
    sections = settings.read()
    if sections.remotes:
        click.echo(f"shared by git's remote {sections.remotes.git} and DVC's remote {sections.remotes.dvc}")
    if (slurm := sections.slurm) is None:
        click.echo(f"{settings.FILE} has no section slurm, which `--on slurm` needs; {settings.INIT}")
        return
    click.echo(shell.join(["sbatch", *slurm.options()]))
    click.echo(f"-S threads={slurm.cpus} -S device={slurm.computes_on()}, in a clone in {slurm.scratch}")


@command.command()
@_options
@cell_runs.options
@click.option("--detach", is_flag=True, help="Exit once all cells are submitted; the same command without it attaches.")
def run(name: str, data: str | None, sets: tuple[str, ...], on: str, jobs: int | None, detach: bool) -> None:
    """Run the cells of a study that have no result yet.

    NAME is a study of `orbweaver study list`, or a .yaml file. Each cell is a DVC experiment. Ctrl-C stops all; the
    same command resumes. Your params.yaml is not changed; tracked files are used as they are, committed or not.
    """
    started = time.monotonic()
    begin = partial(_begin, name, data, sets, on=on, jobs=jobs, detach=detach)
    named, sets, planned, prepared = begin()
    with cell_runs.alone(f"study run {named.name}", kind="study"):
        # Another command may have been waited for.
        if definition.find(name) != named or not cells.are_current(planned):
            line = "were edited after this command had read them; it runs them as they are now"
            cell_runs.say("study", [f"{named.file}, {paths.PARAMS}, the code or your own files {line}"])
            named, sets, planned, prepared = begin()
        if detach:
            count = cell_runs.submit_missing(named.name, planned, prepared.start)
            go = "goes on by itself" if count == 1 else "go on by themselves"
            click.echo(f"study {named.name}: {counted(count, 'cell')} {go}; the same command attaches")
            click.echo(f"what they do: {_again('show', name, data, sets)}")
            return
        ended = cell_runs.run_missing(named.name, planned, prepared.start)
    failures = sum(bool(one.failure) for one in ended)
    there = len(planned) - len(ended)
    verb = "was" if there == 1 else "were"
    cached = sum(one.cached and not one.failure for one in ended)
    click.echo(
        f"study {named.name}: {counted(there, 'cell')} {verb} there, {len(ended) - failures} ran, "
        f"{failures} failed, in {time.monotonic() - started:.0f} s"
        + (f"; of those that ran, {cached} had their result in DVC's cache" if cached else "")
    )
    cell_runs.check_ended(ended, planned, "cells")
    click.echo(f"its page: {_again('report', name, data, sets)}")


def _begin(
    name: str, data: str | None, sets: tuple[str, ...], *, on: str, jobs: int | None, detach: bool
) -> tuple[Named, tuple[str, ...], list[Cell], Prepared]:
    """Return the study, what is set for all cells, the cells, and what runs them; print what is worth a line."""
    named = _find(name, sets)
    planned = cells.plan(named, data=data, sets=sets)
    recipes = [cell.resolved.recipe for cell in planned]
    prepared = cell_runs.prepare(named.name, recipes, sets, on=on, jobs=jobs, detach=detach)
    if prepared.words:
        sets = (*sets, *prepared.words)
        planned = cells.plan(named, data=data, sets=sets)
    cell_runs.say("study", prepared.lines)
    _say_merged(planned)
    return named, sets, planned, prepared


def _again(command: str, name: str, data: str | None, sets: Sequence[str]) -> str:
    words = [name, *(["--data", data] if data else []), *(word for one in sets for word in ("-S", one))]
    return f"orbweaver study {command} {shell.join(words)}"


@command.command()
@_options
def report(name: str, data: str | None, sets: tuple[str, ...]) -> None:
    """Write a study's page, with the printed values beside ours.

    NAME is a study of `orbweaver study list`, or a .yaml file. Give the same options as to `run`. Cells without a
    result are shown as missing, with the error of those that failed.
    """
    from pipeline.running import gathering, unfinished_cells
    from pipeline.studies import page

    named = _find(name, sets)
    planned = cells.plan(named, data=data, sets=sets)
    _say_merged(planned)
    there = cell_runs.finished(planned)
    left = [cell for cell in planned if cell.key not in there]
    cell_runs.say("study", unfinished_cells.with_other_settings(named.name, left))
    results = gathering.results(
        named.study,
        planned,
        there,
        logs=cell_runs.STATE / named.name,
        states=unfinished_cells.states(named.name, planned, left),
    )
    commands = [_again(command, name, data, sets) for command in ("run", "report")]
    study = named.study.model_copy(update={"baseline": cells.kept_name(planned, named.study.first())})
    _, words = set_for_all.selection(named, with_data_set(data, sets))
    apart = departures.from_printed(named, planned, words)
    content = page.content(
        named.name,
        study,
        [one._replace(elsewhere=one.cell in apart.elsewhere) for one in results],
        commands=commands,
        shared=departures.set_for_all(planned),
        departures=apart.lines,
    )
    folder = paths.STUDIES / named.name
    with paths.written_whole(folder) as target:
        gathering.write(target, content)
    for line in content["answer"]:
        click.echo(text_tables.wrapped(line))
    unread = [one for cell, one in zip(planned, results, strict=True) if cell.key in there and not one.repeats]
    if unread:
        first = f"first {unread[0].cell}: {unread[0].missing}"
        click.echo(text_tables.wrapped(f"{counted(len(unread), 'finished cell')} cannot be read, {first}"))
    click.echo(f"see {folder / 'index.html'}")
