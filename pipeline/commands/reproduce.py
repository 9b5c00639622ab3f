"""`orbweaver reproduce`: make a recorded run again from nothing, and say which outputs are bit-identical."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import yaml

from pipeline import tracking
from pipeline.commands import cell_runs, cloning, compare, copies, differences, finding, revisions
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.tracking import Origin

# What is taken from DVC's cache instead of being made anew with --reuse-data, and what is made anew then.
DATA_STAGES = ("validate", "collect", "copies", "split", "preprocess", "source")
LATER_STAGES = ("train", "evaluate", "report")
NOT_COMPARED = (
    "not compared: run times (metrics/runtime), the summary and page that quote them, "
    "and data/recipe.yaml, which names repeats and threads"
)


@click.command(name="reproduce")
@click.argument("run")
@click.option("--repeat", type=click.IntRange(min=0), help="Only this repeat; by default all repeats of the run.")
@click.option(
    "--reuse-data",
    is_flag=True,
    help="Take data and pre-trained weights from DVC's cache instead of making them again.",
)
@click.option("--keep", is_flag=True, help="Keep the temporary clone.")
@cell_runs.on
@click.option("--detach", is_flag=True, help="Exit once the job is submitted; the same command shows the answer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(run: str, repeat: int | None, reuse_data: bool, keep: bool, on: str, detach: bool, as_json: bool) -> None:
    """Repeat RUN from scratch and compare every output bit by bit.

    RUN is the ID of a run in MLflow (of an experiment or of one repeat), a DVC experiment, or a git revision. It is
    repeated in a temporary clone; run times are not compared. Exit status 0 means identical, 1 different.
    """
    from pipeline.commands import reproducing

    root = Path.cwd()
    if not paths.PARAMS.exists():
        raise InputError(f"{paths.PARAMS}: no such file; run this in the project's root")
    recorded = only(look_up(root, run), repeat, run)
    if on == "local" and not detach:
        result = compared_here(root, recorded, reuse_data=reuse_data, keep=keep)
    else:
        if keep:
            raise InputError("--keep: a node's clone is deleted; leave it out, or leave out --on")
        answer = reproducing.compared_on(on, root, run, recorded, reuse_data=reuse_data, detach=detach)
        if answer is None:
            click.echo(f"reproduce {run}: goes on by itself; the same command shows its answer")
            return
        result = answer
    result = {"run": run, "commit": recorded.commit, "repeats": recorded.repeats, **result}
    click.echo(json.dumps(result, indent=2, ensure_ascii=False) if as_json else as_text(result))
    raise SystemExit(0 if result["identical"] else 1)


def compared_here(root: Path, recorded: Origin, *, reuse_data: bool, keep: bool) -> dict[str, Any]:
    """Make a run again on this machine and return the verdict, for a person who watches."""
    try:
        return compared(root, recorded, reuse_data=reuse_data, keep=keep)
    except KeyboardInterrupt:
        click.echo("reproduce: interrupted" + ("" if keep else "; the temporary clone is deleted"), err=True)
        raise SystemExit(130) from None


def compared(
    root: Path, recorded: Origin, *, reuse_data: bool, keep: bool = False, place: Path | None = None
) -> dict[str, Any]:
    """Make a run again in a temporary clone and return the verdict.

    Args:
        root: the project's root in the user's clone.
        recorded: what was made.
        reuse_data: take data and source weights from DVC's cache.
        keep: leave the clone where it is.
        place: the folder that the clone is made in; None for the system's own.
    """
    with cloning.cloned(root, recorded.commit, recorded.changes or "", keep=keep, place=place) as project:
        if keep:
            click.echo(f"reproduce: the clone stays in {project}", err=True)
        rerun = made_again(root, project, recorded, reuse_data=reuse_data)
        return verdict(recorded, rerun, order=stage_order(project), places=(root, project))


def look_up(root: Path, run: str) -> Origin:
    """Return the record of a run, by MLflow's ID or, if git has such a name, in its revision.

    Raises:
        InputError: if nobody knows it, or it cannot be made again, with the way out.
    """
    if revision := cloning.resolved(root, run):
        results = revisions.results(root, revision, run)
        origin = tracking.made_from(results, [one.number for one in results.repeats])
        return origin.model_copy(update={"commit": revision, "changes": ""})
    origin = tracking.recorded(run)
    if tracking.hides(origin) and (at_hand := finding.experiment(root, tracking.key_of(run))):
        origin = tracking.made_from(tracking.read(compare.files_of(at_hand)), origin.repeats)
    if not origin.commit:
        raise InputError(f"run {run}: made outside git, so its code is not recorded; commit it and run again")
    if origin.changes is None:
        raise InputError(
            f"run {run}: made from {origin.commit[:12]} with uncommitted changes that were not kept (too many, with "
            "places or images, or by an earlier version), and its files are not at hand; commit them and run again"
        )
    return origin


def only(recorded: Origin, repeat: int | None, run: str) -> Origin:
    """Keep one repeat of the record, or all."""
    if repeat is None:
        return recorded
    if repeat not in recorded.repeats:
        raise InputError(f"--repeat {repeat}: run {run} has the repeats {', '.join(map(str, recorded.repeats))}")
    stages = tracking.stages_of(recorded.stages, [repeat])
    return recorded.model_copy(update={"repeats": [repeat], "stages": stages})


def made_again(root: Path, project: Path, recorded: Origin, *, reuse_data: bool) -> Origin:
    """Run the pipeline in the temporary clone and read what came of it."""
    set_values(root, project, recorded)
    if reuse_data:
        cloning.run_dvc(project, "config", "--local", "cache.dir", str(copies.cache_of(root)))
        stages = {name: stage for name, stage in recorded.stages.items() if name.partition("@")[0] in DATA_STAGES}
        (project / paths.LOCK).write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}), encoding="utf-8")
        cloning.run_dvc(project, "repro", *DATA_STAGES)
        cloning.run_dvc(project, "repro", "--force", "--single-item", *LATER_STAGES)
    else:
        cloning.run_dvc(project, "repro", "--force")
    return tracking.made_from(tracking.read(tracking.Folder(project)), recorded.repeats)


def set_values(root: Path, project: Path, recorded: Origin) -> None:
    """Name the repeats and threads of the run, and its photographs by a place that the clone has too."""
    from dvc.utils.serialize import modify_yaml

    with modify_yaml(project / paths.PARAMS) as values:
        values["repeats"] = recorded.repeats
        values["threads"] = recorded.machines[recorded.repeats[-1]].threads
        folder = Path(values["folder"])
        if not folder.is_absolute() and names(root / folder) != names(project / folder):
            values["folder"] = str(root / folder)


def names(folder: Path) -> set[str]:
    """Return every file below a folder, by its path there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def stage_order(project: Path) -> list[str]:
    """Return the stages' names in dvc.yaml."""
    return list(yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"])


def verdict(recorded: Origin, rerun: Origin, *, order: list[str], places: tuple[Path, Path]) -> dict[str, Any]:
    """Return which outputs are identical; the first that is not, where in it, and what may be why."""
    compared = differences.outputs(recorded, rerun, order)
    result: dict[str, Any] = {
        "outputs": {output.path: "identical" if output.identical else "different" for output in compared},
        "identical": bool(compared) and all(output.identical for output in compared),
    }
    first = next((output for output in compared if not output.identical), None)
    if first is None:
        return result
    return result | {
        "first": first.path,
        "where": where(first, *places),
        "causes": differences.causes(recorded, rerun, first),
    }


def where(output: differences.Output, root: Path, project: Path) -> str:
    """Return the first file of a folder that differs, where DVC's cache still has the recorded folder's list."""
    old, new = (listing(place, md5) for place, md5 in ((root, output.recorded), (project, output.rerun)))
    if not old or not new:
        return ""
    return next((name for name in sorted({**old, **new}) if old.get(name) != new.get(name)), "")


def listing(root: Path, md5: str | None) -> dict[str, str]:
    """Return the files of a folder as DVC keeps them; none where its cache lacks them."""
    if not md5 or not md5.endswith(".dir"):
        return {}
    with suppress(FileNotFoundError):
        file = copies.cache_of(root) / "files/md5" / md5[:2] / md5[2:]
        entries = json.loads(file.read_text(encoding="utf-8"))
        return {entry["relpath"]: entry["md5"] for entry in entries}
    return {}


def as_text(result: dict[str, Any]) -> str:
    """Return the same as text; the last line is the answer."""
    outputs = result["outputs"]
    width = max(map(len, outputs), default=0)
    lines = [f"run {result['run']}, commit {result['commit'][:12]}, repeats {', '.join(map(str, result['repeats']))}"]
    lines += [f"  {path:<{width}}  {answer}" for path, answer in outputs.items()]
    lines.append(f"  {NOT_COMPARED}")
    if result["identical"]:
        return "\n".join([*lines, f"identical: all {len(outputs)} outputs, bit by bit"])
    differing = sum(answer != "identical" for answer in outputs.values())
    place = f"{result['first']}, {result['where']}" if result["where"] else result["first"]
    causes = "; ".join(result["causes"])
    last = f"different: {differing} of {len(outputs)} outputs, first {place}; likely cause: {causes}"
    return "\n".join([*lines, last])
