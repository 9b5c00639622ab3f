"""The files of runs and models in the store: sent, deleted, and missed where their folder was removed."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlparse
from urllib.request import url2pathname

from pipeline.tracking.address import database, uri
from pipeline.tracking.origin import CHANGES, FILE
from pipeline.tracking.store import Store

# The artifacts of our runs.
OURS = {"summary.json", "report", "predictions.csv", "scores.json", "record.json", "runtime.json", FILE, CHANGES}


def are_lost(address: str) -> bool:
    """Return whether the folder of a run's or model's files was removed, which the database does not know.

    A server's folders are not seen from here, and neither are those of a database that several machines ask.

    Args:
        address: of the folder, as MLflow has it.
    """
    place = urlparse(address)
    return database() is not None and place.scheme in ("", "file") and not Path(url2pathname(place.path)).is_dir()


def log_files(store: Store, run: str, files: Mapping[str, bytes]) -> None:
    """Send files to a run, by their names there; those of the same names are replaced."""
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        store.client.log_artifacts(run, folder)


def delete_files(store: Store, run: str) -> None:
    """Delete the files that we put into a run, of any version; the user's own stay."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    there = {artifact.path for artifact in store.client.list_artifacts(run)}
    artifacts = get_artifact_repository(store.client.get_run(run).info.artifact_uri, tracking_uri=uri())
    for name in sorted(there & OURS):
        artifacts.delete_artifacts(name)  # type: ignore[no-untyped-call]
