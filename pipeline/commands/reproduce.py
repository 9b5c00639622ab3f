"""`orbweaver reproduce`: make a recorded run again from nothing, and say which outputs are bit-identical."""

import json
from pathlib import Path
from typing import Any

import click

from pipeline import tracking
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.experiments import cloning, finding, reading, revisions
from pipeline.running import cell_runs, rerun
from pipeline.tracking import RunOrigin

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
    repeated in a temporary clone; run times are not compared. Exit status 0 means identical, 1 different, 2 an
    error.
    """
    from pipeline.running import rerun_job

    root = Path.cwd()
    if not paths.PARAMS.exists():
        raise InputError(f"{paths.PARAMS}: no such file; run this in the project's root")
    recorded = only(look_up(root, run), repeat, run)
    if on == "local" and not detach:
        result = compared_here(root, recorded, reuse_data=reuse_data, keep=keep)
    else:
        if keep:
            raise InputError("--keep: a node's clone is deleted; leave it out, or leave out --on")
        answer = rerun_job.compared_on(on, root, run, recorded, reuse_data=reuse_data, detach=detach)
        if answer is None:
            click.echo(f"reproduce {run}: goes on by itself; the same command shows its answer")
            return
        result = answer
    result = {"run": run, "commit": recorded.commit, "repeats": recorded.repeats, **result}
    click.echo(json.dumps(result, indent=2, ensure_ascii=False) if as_json else as_text(result))
    raise SystemExit(0 if result["identical"] else 1)


def compared_here(root: Path, recorded: RunOrigin, *, reuse_data: bool, keep: bool) -> dict[str, Any]:
    """Make a run again on this machine and return the verdict, for a person who watches."""
    try:
        return rerun.compared(root, recorded, reuse_data=reuse_data, keep=keep)
    except KeyboardInterrupt:
        click.echo("reproduce: interrupted" + ("" if keep else "; the temporary clone is deleted"), err=True)
        raise SystemExit(130) from None


def look_up(root: Path, run: str) -> RunOrigin:
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
        origin = tracking.made_from(tracking.read(reading.files_of(at_hand)), origin.repeats)
    if not origin.commit:
        raise InputError(f"run {run}: made outside git, so its code is not recorded; commit it and run again")
    if origin.changes is None:
        raise InputError(
            f"run {run}: made from {origin.commit[:12]} with uncommitted changes that were not kept (too many, with "
            "places or images, or by an earlier version), and its files are not at hand; commit them and run again"
        )
    return origin


def only(recorded: RunOrigin, repeat: int | None, run: str) -> RunOrigin:
    """Keep one repeat of the record, or all."""
    if repeat is None:
        return recorded
    if repeat not in recorded.repeats:
        raise InputError(f"--repeat {repeat}: run {run} has the repeats {', '.join(map(str, recorded.repeats))}")
    stages = tracking.stages_of(recorded.stages, [repeat])
    return recorded.model_copy(update={"repeats": [repeat], "stages": stages})


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
