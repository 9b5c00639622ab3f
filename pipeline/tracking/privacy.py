"""Privacy: no photograph, file name or place on this machine goes to MLflow unless the user asks for it."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core import paths
from pipeline.core.records import Runtime
from pipeline.tracking import patches

HIDDEN = "hidden"
# Stages that read files of the user's from places that params.yaml names.
READERS = ("collect", "source")
PATH = "path"


def charts(report: Iterable[Path]) -> list[Path]:
    """Return of a report's files those that hold no photograph and name no file: its summary, and drawn charts.

    A chart is there as SVG and as PNG, photographs as PNG alone.
    """
    files = set(report)
    drawn = {one for one in files if one.suffix == ".svg"} | {
        one for one in files if one.suffix == ".png" and one.with_suffix(".svg") in files
    }
    return sorted(drawn | {one for one in files if one.name == "summary.md"})


def predictions(content: bytes) -> bytes:
    """Return a table of predictions without the names of the images."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
    out = io.StringIO(newline="")
    kept = [name for name in rows.fieldnames or () if name != PATH]
    writer = csv.DictWriter(out, kept, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")


def runtime(one: Runtime) -> Runtime:
    """Return the record of a run time without changes that tell places or images."""
    return one.model_copy(update={"git_changes": changes(one.git_changes)})


def changes(patch: str | None) -> str | None:
    """Return a patch; None where it has a place of files, an address, a secret, an image or its name."""
    if patch is None or any(str(place) in patch for place in (paths.root(), Path.home())):
        return None
    return None if patches.is_telling(patch) else patch


def stages(locked: Mapping[str, Any]) -> dict[str, Any]:
    """Return dvc.lock's entries without the places of the user's files."""
    return {name: _stage(stage) if name in READERS else stage for name, stage in locked.items()}


def hides(origin: Any) -> bool:
    """Return whether the origin of a run lacks its changes or a place."""
    read = (origin.stages.get(name, {}) for name in READERS)
    return origin.changes is None or any(dep["path"] == HIDDEN for stage in read for dep in stage.get("deps", ()))


def _stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    deps = [dep | {"path": _place(dep["path"])} for dep in stage.get("deps", ())]
    return {**stage, "deps": deps}


def _place(path: str) -> str:
    return path if path.startswith("pipeline/") or path in patches.OWN_PLACES else HIDDEN
