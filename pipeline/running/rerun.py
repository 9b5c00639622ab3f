"""A recorded run made again in a temporary clone, and which of its outputs are identical."""

from pathlib import Path
from typing import Any

import click
import yaml

from pipeline import tracking
from pipeline.core import dvc_cache, lock_texts, paths
from pipeline.experiments import cloning, differences, dvc_config
from pipeline.running import cell_clones
from pipeline.tracking import RunOrigin

# What is taken from DVC's cache instead of being made anew with --reuse-data, and what is made anew then.
DATA_STAGES = ("validate", "collect", "copies", "split", "preprocess", "source")
LATER_STAGES = ("train", "evaluate", "report")


def compared(
    root: Path, recorded: RunOrigin, *, reuse_data: bool, keep: bool = False, place: Path | None = None
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


def made_again(root: Path, project: Path, recorded: RunOrigin, *, reuse_data: bool) -> RunOrigin:
    """Run the pipeline in the temporary clone and read what came of it."""
    set_values(root, project, recorded)
    if reuse_data:
        dvc_config.set_local(project, {"cache": {"dir": str(cell_clones.cache_of(root))}})
        stages = {name: stage for name, stage in recorded.stages.items() if name.partition("@")[0] in DATA_STAGES}
        (project / paths.LOCK).write_text(lock_texts.text(stages), encoding="utf-8")
        cloning.run_dvc(project, "repro", *DATA_STAGES)
        cloning.run_dvc(project, "repro", "--force", "--single-item", *LATER_STAGES)
    else:
        cloning.run_dvc(project, "repro", "--force")
    return tracking.made_from(tracking.read(tracking.Folder(project)), recorded.repeats)


def set_values(root: Path, project: Path, recorded: RunOrigin) -> None:
    """Write the run's repeats, threads and the absolute path of its photographs into the clone's params.yaml."""
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


def verdict(recorded: RunOrigin, rerun: RunOrigin, *, order: list[str], places: tuple[Path, Path]) -> dict[str, Any]:
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
    if not md5 or not md5.endswith(dvc_cache.FOLDER):
        return {}
    return dvc_cache.listing(dvc_cache.object_of(cell_clones.cache_of(root), md5)) or {}
