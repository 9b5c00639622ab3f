"""An experiment's repeats and images, by its name in DVC or git."""

import json
from pathlib import Path

from pipeline import tracking
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.evaluation.compare import repeats
from pipeline.evaluation.compare.experiments import Experiment
from pipeline.experiments import cloning, revisions
from pipeline.reporting import confidence_intervals

WORKSPACE = "workspace"


def read(name: str) -> Experiment:
    """Return one experiment's repeats and images, from the working tree or from git and DVC's cache.

    Raises:
        InputError: there is no such revision, or a file of it is not at hand.
    """
    files = files_of(name)
    try:
        with tracking.complete(files.again):
            numbers = sorted(int(number) for number in json.loads(files.read(paths.SUMMARY))["repeats"])
            experiment = confidence_intervals.experiment(name, [repeats.read(files, number) for number in numbers])
            manifest = repeats.table(files, paths.MANIFEST)
            return experiment._replace(images={row["path"]: _identity(row) for row in manifest})
    except tracking.IncompleteError as error:
        # Of another revision, what DVC's remote storage has was downloaded just now.
        download = ", or `dvc pull` downloads it" if name == WORKSPACE else ""
        raise InputError(f"{name}: {error}{download}") from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def files_of(name: str) -> tracking.Files:
    """Return the files that a name stands for.

    Raises:
        InputError: there is no such revision, or several experiments have the name.
    """
    if name == WORKSPACE:
        return tracking.Folder(Path())
    root = Path.cwd()
    revision = cloning.resolved(root, name)
    if revision is None:
        listed = ", ".join(sorted({known for known, _ in revisions.experiments(root)})) or "none"
        raise InputError(f"{name}: no experiment or revision of that name; experiments here: {listed}; or {WORKSPACE}")
    return revisions.Revision(root, revision)


def _identity(row: dict[str, str]) -> str:
    return f"{row['label']} {row['sha256']}"
