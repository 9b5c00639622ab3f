"""The MLflow store: how it is made and opened, and how runs in it are looked for and filled."""

import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.holding import held
from pipeline.tracking.address import database_at, is_server, shown, uri
from pipeline.tracking.content import Point
from pipeline.tracking.database_file import check
from pipeline.tracking.failures import TIMEOUT, told_in_a_line
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
    TIMEOUT: "5",
}
# A request that sends a file of a model may take this many seconds.
UPLOAD_SECONDS = "600"
# Before it is said who holds the store, and after that.
QUIET_SECONDS, LOCK_SECONDS = 30.0, 600.0
# MLflow takes 100 parameters, 100 tags, and 1,000 of all together.
METRICS_A_BATCH, PARAMS_A_BATCH, TAGS_A_BATCH = 800, 100, 100

Item = TypeVar("Item")


class Store(NamedTuple):
    """A store that answers, and the MLflow experiment in it that holds our runs."""

    client: "MlflowClient"
    experiment: str


@contextmanager
def opened() -> Iterator[Store]:
    """Open the store, or create it: a database under the lock of the clone, a server, which takes many, without."""
    place = uri()
    # The import takes seconds, in which nobody else should have to wait.
    _import_client(place)
    database = database_at(place)
    lock = held(_lock(database), "MLflow's store", waiting=_wait, patience=QUIET_SECONDS, limit=LOCK_SECONDS)
    with nullcontext() if is_server(place) else lock:
        if database and not database.exists():
            _make(database)
        elif database:
            check(database)
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

        if database_at(place):
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
        return _made_experiment(client, name, artifacts)
    if database_at(place) == paths.root() / paths.MLFLOW_DATABASE and experiment.artifact_location != artifacts:
        raise InputError(
            f"{shown(place)}: made in another folder, as it keeps artifacts in {experiment.artifact_location}; move "
            "the project back there, or delete the file, and `orbweaver sync` makes the runs again, but not the "
            "registered models"
        )
    return str(experiment.experiment_id)


def _made_experiment(client: "MlflowClient", name: str, artifacts: str | None) -> str:
    """Make the experiment, unless another process, on a server perhaps another machine, was the first."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name, artifact_location=artifacts))
    except MlflowException as error:
        made = client.get_experiment_by_name(name) if error.error_code == "RESOURCE_ALREADY_EXISTS" else None
        if made is None:
            raise
        return str(made.experiment_id)


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


def quieten() -> None:
    """Set what mlflow reads when it is imported or asks a server; the user's own settings stay."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


@contextmanager
def patient() -> Iterator[None]:
    """Give requests the time that large files take, unless the user has set another than ours: MLflow reads it anew."""
    before = os.environ.get(TIMEOUT)
    if before != QUIET[TIMEOUT]:
        yield
        return
    os.environ[TIMEOUT] = UPLOAD_SECONDS
    try:
        yield
    finally:
        os.environ[TIMEOUT] = before


def initialize() -> str:
    """Make the store and our experiment in it, where they are lacking; gives its ID there.

    Raises:
        InputError: if the store does not answer, or is of another version of MLflow.
    """
    quieten()
    with told_in_a_line(), opened() as store:
        return store.experiment


def every_run_of(store: Store, key: str) -> "list[Run]":
    """Return all runs of an experiment, the latest first."""
    return list(store.client.search_runs([store.experiment], f"tags.`{KEY}` = '{key}'"))


def by_repeat(runs: "Iterable[Run]") -> "dict[int | None, Run]":
    """Return an experiment's runs by their repeat; the run of the experiment itself is that of None.

    The latest come first, so that of several the oldest is taken: two machines may have made one each.
    """
    numbers = ((run, run.data.tags.get(REPEAT)) for run in runs)
    return {int(number) if number else None: run for run, number in numbers}


def delete_doubles(store: Store, runs: "Sequence[Run]") -> None:
    """Delete of an experiment's runs those that others made at the same moment: a server is asked by many at once."""
    used = by_repeat(runs).values()
    for run in runs:
        if run not in used:
            store.client.delete_run(run.info.run_id)


def runs_of(store: Store, key: str) -> "dict[int | None, Run]":
    """Return an experiment's runs as `by_repeat` does."""
    return by_repeat(every_run_of(store, key))


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
    """Add to a run, in as few requests as MLflow's limits allow."""
    from mlflow.entities import Metric, Param, RunTag

    batches = zip_longest(
        _parts([Metric(point.name, point.value, point.when, point.step) for point in points], METRICS_A_BATCH),
        _parts([Param(*item) for item in params.items()], PARAMS_A_BATCH),
        _parts([RunTag(*item) for item in tags.items()], TAGS_A_BATCH),
        fillvalue=(),
    )
    for some_metrics, some_params, some_tags in batches:
        store.client.log_batch(run, metrics=some_metrics, params=some_params, tags=some_tags)


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
