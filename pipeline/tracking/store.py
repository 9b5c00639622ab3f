"""The MLflow store: where it is, how it is made, and what its failures are called."""

import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.holding import held
from pipeline.tracking.content import Point
from pipeline.tracking.labels import KEY, NAME, REPEAT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}
# Before it is said who holds the store, and after that.
QUIET_SECONDS, LOCK_SECONDS = 30.0, 600.0
METRICS_A_BATCH, PARAMS_A_BATCH = 1000, 100


def uri() -> str:
    """Return where the runs go: MLFLOW_TRACKING_URI, else a database in the user's own clone.

    A relative path of sqlite is below the clone's root, so that queue runs, which start elsewhere, agree on it.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.MLFLOW_DATABASE}"
    scheme, slashes, place = given.partition(":///")
    return f"{scheme}{slashes}{paths.root() / place}" if scheme == "sqlite" else given


class Store(NamedTuple):
    """A store that answers, and the MLflow experiment in it that holds our runs."""

    client: "MlflowClient"
    experiment: str


@contextmanager
def opened() -> Iterator[Store]:
    """Open the store, or create it, under the lock of the clone."""
    place = uri()
    # The import takes seconds, in which nobody else should have to wait.
    _import_client(place)
    database = _database(place)
    with held(_lock(database), "MLflow's store", waiting=_wait, patience=QUIET_SECONDS, limit=LOCK_SECONDS):
        if database and not database.exists():
            _make(database)
        client = _client(place)
        yield Store(client, _experiment(client, place))


def _lock(database: Path | None) -> Path:
    """Return the clone's lock, or where several clones may have one database, that beside it."""
    if database is None or database.parent == paths.root():
        return paths.root() / paths.MLFLOW_LOCK
    return database.with_name(f".{database.name}.lock")


def _wait(who: str) -> None:
    print(f"mlflow: waiting for {who}", file=sys.stderr, flush=True)


def _import_client(place: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        if _database(place):
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


def _client(place: str) -> "MlflowClient":
    """Silence the warnings of MLflow and its dependencies about themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        return MlflowClient(place)


def _experiment(client: "MlflowClient", place: str) -> str:
    """Return where artifacts go; without it MLflow would take the folder that this process started in."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or NAME
    artifacts = None if is_server(place) else (paths.root() / paths.MLFLOW_ARTIFACTS).as_uri()
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, artifact_location=artifacts))
    if _database(place) == paths.root() / paths.MLFLOW_DATABASE and experiment.artifact_location != artifacts:
        raise InputError(
            f"{shown(place)}: it keeps artifacts in {experiment.artifact_location}, so it comes from another folder; "
            "delete it, it can be rebuilt"
        )
    return str(experiment.experiment_id)


def _make(database: Path) -> None:
    """Make the whole database beside its place first: one that was killed half-way could never be opened again."""
    from sqlalchemy import Engine, event

    event.listen(Engine, "connect", _do_not_wait_for_the_disk)
    try:
        with paths.written_whole(database) as partial:
            place = f"sqlite:///{partial}"
            _experiment(_client(place), place)
    finally:
        event.remove(Engine, "connect", _do_not_wait_for_the_disk)


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    """Make MLflow's tables without a wait after each of some hundred transactions: 0.5 to 2 s in place of 7 to 13."""
    connection.execute("PRAGMA synchronous=OFF")


def database() -> Path | None:
    """Return the file that holds the runs; None where a server does."""
    return _database(uri())


def _database(place: str) -> Path | None:
    return Path(place.removeprefix("sqlite:///").partition("?")[0]) if place.startswith("sqlite:///") else None


def is_server(place: str) -> bool:
    """Return whether an address is that of a server, which keeps the artifacts itself."""
    return place.startswith(("http://", "https://", "databricks"))


def quieten() -> None:
    """Set what mlflow reads when it is imported or asks a server; the user's own settings stay."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


@contextmanager
def told_in_a_line() -> Iterator[None]:
    """Turn what a store can fail with into an `InputError` that names the store."""
    try:
        yield
    except _failures() as error:
        raise InputError(f"{shown(uri())}: {_reason(error)}") from None


def _failures() -> tuple[type[Exception], ...]:
    """Return the errors that a store can fail with; called only after a failure, as the import takes seconds."""
    try:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        return (OSError, ImportError)
    return (OSError, ImportError, MlflowException, SQLAlchemyError)


def _reason(error: Exception) -> str:
    text = shown(" ".join(str(error).split()))
    if "out-of-date database schema" in text:
        return f"made by another version of MLflow; back it up and run `mlflow db upgrade {shlex.quote(shown(uri()))}`"
    return text if len(text) <= 200 else f"{text[:200]}..."


def shown(text: str) -> str:
    """Return an address without its user name and password."""
    return re.sub(r"//[^/@]*@", "//", text)


def initialize() -> str:
    """Make the store and our experiment in it, where they are lacking; gives its ID there.

    Raises:
        InputError: if the store does not answer, or is of another version of MLflow.
    """
    quieten()
    with told_in_a_line(), opened() as store:
        return store.experiment


def runs_of(store: Store, key: str) -> "dict[int | None, Run]":
    """Return an experiment's runs by their repeat; the run of the experiment itself is that of None.

    The latest come first, so that of several the oldest is taken: two machines may have made one each.
    """
    runs = store.client.search_runs([store.experiment], f"tags.`{KEY}` = '{key}'")
    numbers = [run.data.tags.get(REPEAT) for run in runs]
    return {int(number) if number else None: run for number, run in zip(numbers, runs, strict=True)}


def make_run(store: Store, tags: Mapping[str, str], *, started: int) -> str:
    """Return a new run, which goes on; `started` is in milliseconds since 1970."""
    run = store.client.create_run(store.experiment, start_time=started, tags=dict(tags))
    return str(run.info.run_id)


def log(
    store: Store,
    run: str,
    *,
    params: Mapping[str, str] = MappingProxyType({}),
    points: Sequence[Point] = (),
    tags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Add to a run, in as many requests as MLflow's limits ask for."""
    from mlflow.entities import Metric, Param, RunTag

    metrics = [Metric(point.name, point.value, point.when, point.step) for point in points]
    for part in _parts(metrics, METRICS_A_BATCH):
        store.client.log_batch(run, metrics=part)
    for part in _parts([Param(*item) for item in params.items()], PARAMS_A_BATCH):
        store.client.log_batch(run, params=part)
    for part in _parts([RunTag(*item) for item in tags.items()], PARAMS_A_BATCH):
        store.client.log_batch(run, tags=part)


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
