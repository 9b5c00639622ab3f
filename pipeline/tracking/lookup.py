"""The origin of a run in the store."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.core.errors import InputError
from pipeline.tracking import labels, origin
from pipeline.tracking.address import database
from pipeline.tracking.failures import told_in_a_line
from pipeline.tracking.store import Store, opened, quieten, runs_of

if TYPE_CHECKING:
    from mlflow.entities import Run

# For an ID that no run has, and for one that no run can have.
NO_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def run_of(key: str) -> str:
    """Return the identifier of the run of an experiment; "" where the store has none, or does not answer."""
    quieten()
    try:
        # Opening would import MLflow and create a store, which takes seconds, to look for what is not there.
        if (file := database()) and not file.exists():
            return ""
        with told_in_a_line(), opened() as store:
            run = runs_of(store, key).get(None)
    except InputError:
        return ""
    return str(run.info.run_id) if run else ""


def key_of(run: str) -> str:
    """Return the key of the experiment of a run of this identifier; "" where it is not known."""
    quieten()
    try:
        with told_in_a_line(), opened() as store:
            return str(store.client.get_run(run).data.tags.get(labels.KEY, ""))
    except InputError:
        return ""


def _run(store: Store, run: str) -> "Run":
    """Return MLflow's run of this identifier.

    Raises:
        InputError: if there is none.
    """
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_run(run)
    except MlflowException as error:
        if error.error_code not in NO_RUN:
            raise
        raise InputError(
            f"{run}: no run in MLflow, no DVC experiment and no revision of that name; `dvc exp show` lists "
            "experiments, and `orbweaver mlflow` shows runs with their IDs"
        ) from None


def recorded(run: str) -> origin.RunOrigin:
    """Return the origin of MLflow's run of this identifier; a parent covers all of its repeats.

    Raises:
        InputError: if there is no such run, or it does not say.
    """
    quieten()
    with told_in_a_line(), opened() as store, TemporaryDirectory() as folder:
        named = _run(store, run)
        if labels.KEY not in named.data.tags:
            raise InputError(
                f"run {run}: not made by {labels.NAME}; give one that was, a DVC experiment or a git revision"
            )
        if origin.FILE not in {artifact.path for artifact in store.client.list_artifacts(run)}:
            raise InputError(
                f"run {run}: does not record its origin; delete it, and run `orbweaver sync` in the clone that made it"
            )
        content = Path(store.client.download_artifacts(run, origin.FILE, folder)).read_bytes()
    again = "delete the run, and `orbweaver sync` in the clone that made it writes it again"
    return origin.RunOrigin.parse(content, Path(f"run {run}") / origin.FILE, again)
