"""A training's curves in MLflow while it goes on."""

import os
import queue
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.core import processes
from pipeline.core.naming import UNNAMED, Naming
from pipeline.core.recipe import Tracking
from pipeline.core.records import Record
from pipeline.core.stopping import StoppedError
from pipeline.tracking import content, labels, metric_names
from pipeline.tracking.background import Background
from pipeline.tracking.content import Point
from pipeline.tracking.failures import told_in_a_line
from pipeline.tracking.load import system_metrics
from pipeline.tracking.results import key_of
from pipeline.tracking.store import Store, log, make_run, opened, quieten, runs_of

if TYPE_CHECKING:
    from mlflow.entities import Run

Status = Literal["FINISHED", "FAILED", "KILLED"]

HOST, PROCESS = f"{labels.NAME}.host", f"{labels.NAME}.pid"
BATCH_SECONDS = 1.0
CLOSING_SECONDS, BROKEN_OFF_SECONDS = 15.0, 1.0
# Nobody looks at the curves of a shorter training while it goes on; `report` puts them into MLflow all at once.
SHOWN_AFTER_SECONDS = 10.0


NOTHING_MORE = Tracking()


@contextmanager
def follow(
    record: Record,
    *,
    data_sha256: str,
    repeats: Sequence[int],
    naming: Naming = UNNAMED,
    shown: Tracking = NOTHING_MORE,
) -> Iterator["LiveRun"]:
    """Show a training in MLflow while it goes on, in the background; nothing that happens there stops the training.

    It is shown, all of it, once it has gone on for ten seconds: a shorter one is left to the report.
    A server that is away is asked again until the training ends, and then sent all of it.
    A repeat that was trained to its end is not shown again. One whose process is gone is replaced, so no curve ever
    has a step twice. At the end the store is waited for at most 15 s, one that is away not at all;
    after a failure or Ctrl-C 1 s.

    Args:
        record: what the result follows from.
        data_sha256: of all images and labels.
        repeats: all repeats of the experiment, which are part of what it is.
        naming: what tells it apart for people.
        shown: what of it is shown.

    Yields:
        What takes the rows of the curves.
    """
    live = LiveRun(record, data_sha256, repeats, naming, shown)
    status: Status = "FAILED"
    try:
        yield live
        status = "FINISHED"
    except (KeyboardInterrupt, StoppedError):
        status = "KILLED"
        raise
    finally:
        live.close(status)


class Runs(NamedTuple):
    """The run of a training, that of its experiment, and the store that has them."""

    store: Store
    parent: str
    run: str


class LiveRun:
    """The run of a training that goes on; made by `follow`."""

    def __init__(
        self, record: Record, data_sha256: str, repeats: Sequence[int], naming: Naming, shown: Tracking
    ) -> None:
        quieten()
        self._record = record if shown.images else record.public()
        self._images = labels.text(shown.images)
        self._system_metrics = shown.system_metrics
        self._naming = naming
        self._data_sha256 = data_sha256
        self._key = key_of(record, data_sha256, repeats)
        self._repeats = repeats
        self._points: queue.SimpleQueue[list[Point] | Status] = queue.SimpleQueue()
        self._background = Background(self._send, meanwhile="the training goes on", after=SHOWN_AFTER_SECONDS)

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Add one row of the curves; returns at once."""
        now = _now()
        chosen = {name: value for name, value in row.items() if name not in content.NOT_CURVES}
        self._points.put([Point(metric_names.valid(n), float(value), step, now) for n, value in chosen.items()])

    def close(self, status: Status) -> None:
        """Close the run with its status, and wait a little until all is sent."""
        self._points.put(status)
        self._background.cancel()
        self._background.finish(CLOSING_SECONDS if status == "FINISHED" else BROKEN_OFF_SECONDS)

    def _send(self, background: Background) -> None:
        runs = background.insist(self._begun)
        if runs is None:
            return
        with told_in_a_line(), system_metrics(runs.run) if self._system_metrics else nullcontext():
            status = self._send_points(background, runs)
        ended = (runs.run,) if status == "FINISHED" else (runs.run, runs.parent)
        for run in ended:
            background.insist(partial(runs.store.client.set_terminated, run, status))

    def _begun(self) -> "Runs | None":
        """Return the runs to fill; None where this repeat is in another's hands. Again, what was begun is replaced."""
        with opened() as store:
            runs = runs_of(store, self._key)
            if _is_taken(runs.get(self._record.repeat)):
                return None
            parent = self._begin_parent(store, runs.get(None))
            return Runs(store, parent, self._begin(store, runs.get(self._record.repeat), parent))

    def _begin_parent(self, store: Store, run: "Run | None") -> str:
        if run is None:
            tags = labels.parent_tags(self._record, self._naming) | {labels.KEY: self._key, labels.IMAGES: self._images}
            parent = make_run(store, tags, started=_now())
            log(store, parent, params=labels.parent_params(self._record, self._data_sha256, self._repeats))
            return parent
        if run.info.status in ("FAILED", "KILLED"):
            store.client.update_run(run.info.run_id, status="RUNNING")
        return str(run.info.run_id)

    def _begin(self, store: Store, left: "Run | None", parent: str) -> str:
        if left is not None:
            store.client.delete_run(left.info.run_id)
        key = {labels.KEY: self._key}
        owner = {HOST: socket.gethostname(), PROCESS: str(os.getpid()), labels.IMAGES: self._images}
        tags = labels.child_tags(self._record, self._naming) | key | owner | {labels.PARENT: parent}
        run = make_run(store, tags, started=_now())
        log(store, run, params=labels.child_params(self._record, self._data_sha256))
        return run

    def _send_points(self, background: Background, runs: "Runs") -> Status:
        status = None
        while status is None:
            points, status = self._batch()
            background.insist(partial(log, runs.store, runs.run, points=points))
        return status

    def _batch(self) -> tuple[list[Point], Status | None]:
        """Return the points of the next second, from the first one on, and how the training ended if it has."""
        points: list[Point] = []
        until = None
        while until is None or time.monotonic() < until:
            try:
                given = self._points.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(given, str):
                return points, given
            points += given
            until = until or time.monotonic() + BATCH_SECONDS
        return points, None


def _is_taken(run: "Run | None") -> bool:
    """Return whether this repeat was trained to its end, or is being trained by a process that lives."""
    if run is None:
        return False
    return run.info.status == "FINISHED" or (run.info.status == "RUNNING" and _owner_lives(run.data.tags))


def _owner_lives(tags: Mapping[str, str]) -> bool:
    """Return whether the process of a run lives; one on another machine is taken to live."""
    if tags.get(HOST) != socket.gethostname():
        return HOST in tags
    number = int(tags[PROCESS])
    return number != os.getpid() and processes.is_alive(number)


def _now() -> int:
    return round(1000 * time.time())
