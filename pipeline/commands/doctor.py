"""`orbweaver doctor`: a look at the data set before hours are spent on it."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline import tracking
from pipeline.commands import file_systems
from pipeline.config import Resolved
from pipeline.core import git, lockfile, paths
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.core.shortening import cut
from pipeline.core.text_width import columns, padded
from pipeline.datasets.collect import bringing, hashable, health, metadata, sets
from pipeline.datasets.collect.findings import Finding
from pipeline.datasets.prepared import dividing
from pipeline.datasets.prepared.manifest import Pair, Row
from pipeline.pretrained import copies
from pipeline.preview import overriding, refusals
from pipeline.preview.images import Seen, look
from pipeline.preview.overriding import read_images, say_remarks
from pipeline.recovery import mending
from pipeline.reporting.text_tables import wrapped
from pipeline.running import cell_clones, lost_outputs

SHOWN_FILES = 5
# Signs of the longest bar, and of a class's name beside it.
BAR = NAME = 40


@click.command()
@overriding.option()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, including every file.")
@click.option(
    "--mend", is_flag=True, help="Repair the project after a kill, with one line per repair; do not check the data."
)
@click.option(
    "--name-groups", is_flag=True, help="Write metadata.csv into your folder, with the groups that names suggest."
)
@click.pass_context
def command(context: click.Context, sets: tuple[str, ...], as_json: bool, mend: bool, name_groups: bool) -> None:
    """Check the data set and the project for what would stop a run.

    Of the data set: counts, sizes, unusable files, duplicates. Of the settings: what this machine or the network cannot
    take. Of the project: what a killed command left. Your own folder is read in place; another data set is loaded into
    a temporary folder. Nothing is changed without --mend or --name-groups. Exit status 1 means that a run would stop, 0
    that it would not.
    """
    if mend:
        of_data = {"-S": sets, "--json": as_json, "--name-groups": name_groups}
        if words := [name for name, value in of_data.items() if value]:
            raise InputError(f"--mend: checks no data; leave out {', '.join(words)}")
        mending.mend(Path.cwd(), click.echo)
        return
    for line in project_lines(Path.cwd()):
        click.echo(line, err=True)
    lockfile.check()
    resolved, refused = read_images(sets)
    refusals = [*filter(None, [refused]), *refused_beside_images(resolved)]
    for reason in refusals:
        click.echo(f"settings: a run would be refused, whatever its images are: {reason}", err=True)
    say_remarks(resolved)
    report = examined(resolved)
    click.echo(json.dumps(report, indent=2, ensure_ascii=False) if as_json else as_text(report))
    if name_groups:
        click.echo(write_groups(resolved, report["suggested_groups"]), err=True)
    if refusals or any(finding["stops"] for finding in report["findings"]):
        context.exit(1)


def refused_beside_images(resolved: Resolved) -> Iterator[str]:
    """Yield why the stage `validate` would refuse settings of weights, of this machine and of the network."""
    checks: list[Callable[[], object]] = [
        lambda: refusals.check_weights(resolved),
        lambda: refusals.check_machine(resolved.recipe),
        lambda: refusals.check_network(resolved.recipe),
    ]
    for check in checks:
        try:
            check()
        except InputError as error:
            yield str(error)


def project_lines(root: Path) -> Iterator[str]:
    """Return a line for each process at work, leftover of a kill, and place that several machines may share."""
    state = mending.look(root)
    for process in state.at_work:
        yield f"project: {cell_clones.described(process.pid)} is at work here"
    for one in state.found:
        yield f"project: {one.what}; `{mending.MEND}` {one.does}, or by hand: {one.way_back}"
    try:
        git.check_owner(root)
    except InputError as error:
        yield f"project: `dvc exp run` and studies would stop: {error}"
    if git.lacks_identity(root):
        yield (
            "project: `dvc exp run` and studies would stop where files are changed: git does not know who you are; "
            "`git config --global user.name NAME` and `git config --global user.email ADDRESS` tell it"
        )
    database = None
    try:
        database = tracking.database()
    except InputError as error:
        yield f"project: MLflow has no runs of this project: {error}"
    for place in file_systems.shared(root, *([database] if database else [])):
        yield f"project: {file_systems.advice(place)}"
    if not str(root.resolve()).isascii():
        yield (
            f"project: {root.resolve()} has letters beyond ASCII, where DVC cannot set up `dvc exp run --queue` or "
            "`--temp`; all else works, `orbweaver study run` too"
        )
    if (root / paths.LOCK).exists() and (lost := lost_outputs.sentence(root, cell_clones.cache_of(root))):
        yield f"project: {lost}"


def examined(resolved: Resolved) -> dict[str, Any]:
    """Return the findings on the set that the experiment uses.

    Raises:
        InputError: where the set cannot be had at all.
    """
    data = resolved.recipe.data
    unhashable = [fault for place in refusals.hashed_places(resolved) for fault in hashable.faults(place)]
    stopping = {fault.place for fault in unhashable}
    with tempfile.TemporaryDirectory() as scratch:
        seen = _seen(resolved, Path(scratch) / "images", unhashable)
        pairs, search = copies.find(seen.rows, seen.folder)
    row = sets.known(data.set)
    own = row.given_by == "folder"
    report = health.examine(
        seen.rows,
        [one for one in seen.rejected if seen.folder / one.path not in stopping],
        pairs,
        search,
        image_size=data.image_size,
        on_leak=data.on_leak,
        split=data.split,
        refuse_duplicates=data.duplicates == "refuse" and own,
        known_overlap=row.known_overlap,
        own=own,
        tested=seen.tested,
    )
    if seen.fault:
        report["findings"].insert(0, Finding("too few images", [seen.fault], "bring more images", True).as_dict())
    elif seen.rows and not any(finding["stops"] for finding in report["findings"]):
        report["findings"][:0] = [one.as_dict() for one in _undivided(resolved.recipe, seen.rows, pairs, own=own)]
    if unhashable:
        report["findings"].insert(0, hashable.finding(unhashable).as_dict())
    return {"set": data.set, "title": seen.title, "notes": list(seen.notes)} | report


def _seen(resolved: Resolved, target: Path, unhashable: Sequence[hashable.Fault]) -> Seen:
    """Return the images; none, and a note, where a folder of them may not be read, which is a finding by itself."""
    try:
        return look(resolved, target)
    except (InputError, PermissionError):
        if not any(fault.place.is_dir() for fault in unhashable):
            raise
    place = resolved.settings.axes.folder
    title = bringing.title_of(sets.known(resolved.recipe.data.set), place)
    note = "the photographs were not looked at, as a folder of them cannot be read"
    return Seen(Path(place), title, [], [], notes=(note,))


def _undivided(recipe: Recipe, rows: Sequence[Row], pairs: Sequence[Pair], *, own: bool) -> list[Finding]:
    """Return why a repeat's division would stop the run, such as a class of nothing but copies of one photograph."""
    for repeat in recipe.repeats:
        try:
            dividing.divided(recipe.data, rows, pairs, own=own, repeat=repeat)
        except InputError as error:
            advice = "bring more images, leave the class out, or change data.split"
            return [Finding("a set that cannot be divided", [str(error)], advice, True)]
    return []


def write_groups(resolved: Resolved, groups: Mapping[str, Sequence[str]]) -> str:
    """Write groups into metadata.csv of the user's folder, and return what was written.

    Raises:
        InputError: where there are none to write, or a table is there.
    """
    if not groups:
        raise InputError(
            f"{metadata.NAME}: not written: the photographs have groups already, or their names suggest none; "
            "docs/data.md says what names suggest, and what a table of your own looks like"
        )
    file = metadata.write_groups(Path(resolved.settings.axes.folder), groups)
    written = f"{counted(len(groups), 'group')} of {counted(sum(map(len, groups.values())), 'photograph')}"
    return f"{file}: {written}; look through it and correct it before you run"


def as_text(report: Mapping[str, Any]) -> str:
    """Return the same as text: numbers, a bar for each class, then each finding with its first files."""
    parts = ", ".join(f"{count:,} {part}" for part, count in report["parts"].items())
    classes = counted(len(report["classes"]), "class", "classes")
    lines = [f"{report['title']}: {counted(report['images'], 'image')} in {classes}"]
    lines += [f"  parts: {parts}"] if parts else []
    if sizes := report["sizes"]:
        small, large = (" x ".join(map(str, sizes[end])) for end in ("smallest", "largest"))
        lines.append(f"  sizes: {small} to {large} pixels")
        lines.append(f"  modes: {', '.join(f'{mode} {count:,}' for mode, count in report['modes'].items())}")
    lines += [f"  groups: {report['groups']}"] if report["groups"] else []
    lines += [wrapped(f"note: {line}", indent="  ") for line in report["notes"]]
    lines += ["", *_bars(report["classes"]), "", wrapped(f"copies: {report['copies']}")]
    lines += _finding_lines(report["findings"])
    return "\n".join(lines)


def _bars(classes: Mapping[str, int]) -> list[str]:
    """Return a bar for each class, the largest first with 40 signs."""
    largest_first = sorted(classes.items(), key=lambda entry: (-entry[1], entry[0]))
    ordered = [(cut(name, NAME, ""), count) for name, count in largest_first]
    width, most = max((columns(name) for name, _ in ordered), default=0), max(classes.values(), default=0)
    return [
        f"  {padded(name, width)} {count:>7,}  {'█' * max(round(BAR * count / most), 1)}" for name, count in ordered
    ]


def _finding_lines(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    if not findings:
        return ["", "nothing found in the images that needs a look"]
    lines = []
    for finding in findings:
        verdict = "a run stops at this: " if finding["stops"] else ""
        lines += ["", f"{finding['what']} ({finding['count']:,})"]
        lines.append(wrapped(f"what to do: {verdict}{finding['advice']}", indent="  "))
        lines += [f"  {file}" for file in finding["files"][:SHOWN_FILES]]
        if (more := len(finding["files"]) - SHOWN_FILES) > 0:
            lines.append(f"  and {more:,} more: --json lists all")
    return lines
