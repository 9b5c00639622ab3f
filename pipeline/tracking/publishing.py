"""The runs of an experiment made whole from its files."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.core import paths
from pipeline.core.seeding import digest
from pipeline.evaluation.compare.repeats import Files, Repeat
from pipeline.tracking import artifacts, labels
from pipeline.tracking.background import Background
from pipeline.tracking.content import Content, Point, child_content, parent_content
from pipeline.tracking.failures import told_in_a_line
from pipeline.tracking.labels import CONTENT, IMAGES, KEY, NAME, NOTE, PARENT
from pipeline.tracking.results import Results, complete, read
from pipeline.tracking.store import Store, by_repeat, delete_doubles, every_run_of, log, make_run, opened, quieten

if TYPE_CHECKING:
    from mlflow.entities import Run

Outcome = Literal["added", "completed", "unchanged"]

DVC_NAMES, OUR_NOTE = "dvc.experiments", f"{NAME}.note"
PUBLISH_SECONDS, PUBLISH_TIMES = 60.0, 3


class Published(NamedTuple):
    """The outcome for the experiment of a key."""

    key: str
    outcome: Outcome


class Missing(NamedTuple):
    """The content that a run lacks."""

    params: dict[str, str]
    points: list[Point]
    tags: dict[str, str]


def try_publish(files: Files, *, images: bool = False) -> None:
    """Publish for a stage, see `publish`: a failure is one line, after a minute at most, and stops nothing."""
    quieten()
    names = [name] if (name := os.environ.get("DVC_EXP_NAME")) else []

    def work(background: Background) -> None:
        background.insist(lambda: publish(files, names=names, images=images), times=PUBLISH_TIMES)

    Background(work, meanwhile="the report is whole").finish(PUBLISH_SECONDS)


def publish(files: Files, *, names: Iterable[str] = (), refresh: bool = True, images: bool = False) -> Published:
    """Make the runs of one experiment hold what its files say; doing it again changes nothing.

    A run that holds all of it is left alone, one that lacks something gets it, one that says otherwise is replaced.

    Args:
        files: where the experiment's files are.
        names: what DVC calls this experiment; added to those that the run has.
        refresh: also look into runs that are whole. Without, of two equal experiments with unequal numbers (times, or
            the last digits on a GPU) the one that was published first stays, else the later replaces it.
        images: whether photographs, names of files and places may be in them, see `privacy`; what is there from a time
            when they might is deleted.

    Returns:
        The experiment's key, and whether its runs were made, changed or left alone.

    Raises:
        IncompleteError: if files are missing or not of one experiment.
        InputError: if the store does not answer.
    """
    results = read(files)
    quieten()
    with told_in_a_line(), opened() as store:
        every = every_run_of(store, results.key)
        upsert = Upsert(store, by_repeat(every), results.key, refresh, images, files.again)
        parent, outcome = upsert.put(None, {}, lambda: parent_content(results, files, images=images))
        changes = {upsert.put(*_child(one, parent, results, files, images))[1] for one in results.repeats}
        _add_names(store, upsert.runs.get(None), parent, names)
        delete_doubles(store, every)
    if outcome == "unchanged" and changes != {"unchanged"}:
        outcome = "completed"
    return Published(results.key, outcome)


def _child(
    one: Repeat, parent: str, results: Results, files: Files, images: bool
) -> tuple[int, dict[str, str], Callable[[], Content]]:
    return one.number, {PARENT: parent}, lambda: child_content(one, results, files, images=images)


@dataclass(frozen=True)
class Upsert:
    """One experiment's runs as they are in the store, and how to bring one of them up to date."""

    store: Store
    runs: "Mapping[int | None, Run]"
    key: str
    refresh: bool
    images: bool
    again: str

    def put(self, repeat: int | None, tags: Mapping[str, str], build: Callable[[], Content]) -> tuple[str, Outcome]:
        """Have the run of this repeat hold what `build` gives, which is asked only where it matters.

        Args:
            repeat: which repeat; None is the experiment's own run.
            tags: what the run carries besides, also if it is left alone otherwise.
            build: what it should hold.

        Returns:
            The run's identifier and what was done.
        """
        run = self.runs.get(repeat)
        if run is None:
            return self._make(self._built(build), tags), "added"
        self._tag(run, tags)
        # A run whose files were removed is not whole, whatever its mark says.
        mark = None if artifacts.are_lost(run.info.artifact_uri) else run.data.tags.get(CONTENT)
        # Versions that did not write the tag published images.
        as_asked = run.data.tags.get(IMAGES, "true") == labels.text(self.images)
        if mark and as_asked and not self.refresh:
            return run.info.run_id, "unchanged"
        wanted = _with_note(run, self._built(build))
        if mark == wanted.mark() and as_asked:
            return run.info.run_id, "unchanged"
        missing = _missing(self.store, run, wanted, self._tags(wanted))
        if not as_asked or missing is None:
            artifacts.delete_files(self.store, run.info.run_id)
        if missing is None:
            self.store.client.delete_run(run.info.run_id)
            return self._make(wanted, _of_others(run) | dict(tags)), "completed"
        self._fill(run.info.run_id, wanted, missing)
        if run.info.status != "FINISHED":
            self.store.client.set_terminated(run.info.run_id, "FINISHED", end_time=wanted.ended)
        return run.info.run_id, "completed"

    def _built(self, build: Callable[[], Content]) -> Content:
        with complete(self.again):
            return build()

    def _make(self, wanted: Content, tags: Mapping[str, str]) -> str:
        run = make_run(self.store, {**tags, **self._tags(wanted), KEY: self.key}, started=wanted.started)
        self._fill(run, wanted, Missing(wanted.params, [*wanted.points, *wanted.timings], {}))
        self.store.client.set_terminated(run, "FINISHED", end_time=wanted.ended)
        return run

    def _fill(self, run: str, wanted: Content, missing: Missing) -> None:
        """Add what is missing; the mark comes last, so a run that holds only a part of it never has one."""
        log(self.store, run, params=missing.params, points=missing.points, tags=missing.tags)
        artifacts.log_files(self.store, run, wanted.files)
        _log_data(self.store, run, *wanted.data)
        log(self.store, run, tags={CONTENT: wanted.mark()})

    def _tags(self, wanted: Content) -> dict[str, str]:
        """Return the tags but for the mark; a run that may hold images says so before it does."""
        note = {OUR_NOTE: digest(wanted.tags[NOTE])} if NOTE in wanted.tags else {}
        return wanted.tags | note | {IMAGES: labels.text(self.images)}

    def _tag(self, run: "Run", tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            if run.data.tags.get(name) != value:
                self.store.client.set_tag(run.info.run_id, name, value)


def _missing(store: Store, run: "Run", wanted: Content, tags: Mapping[str, str]) -> Missing | None:
    """Return what the run lacks, or None if it contradicts the files."""
    params = {name: value for name, value in wanted.params.items() if name not in run.data.params}
    same = all(run.data.params.get(name, value) == value for name, value in wanted.params.items())
    there = _points_of(store, run, {point.name for point in wanted.points})
    values = {(point.name, point.step): point.value for point in wanted.points}
    if not same or any(not _equal(value, values.get(place)) for place, value in there):
        return None
    known = {place for place, _ in there}
    points = [point for point in wanted.points if (point.name, point.step) not in known]
    timings = [point for point in wanted.timings if point.name not in run.data.metrics]
    changed = {name: value for name, value in tags.items() if run.data.tags.get(name) != value}
    return Missing(params, points + timings, changed)


def _points_of(store: Store, run: "Run", names: set[str]) -> list[tuple[tuple[str, int], float]]:
    histories = [store.client.get_metric_history(run.info.run_id, name) for name in names & set(run.data.metrics)]
    return [((point.key, point.step), point.value) for history in histories for point in history]


def _equal(value: float, wanted: float | None) -> bool:
    """Return whether two values are equal up to the digits that a CSV file holds."""
    if wanted is None:
        return False
    return math.isclose(value, wanted, rel_tol=1e-5, abs_tol=1e-5) or (math.isnan(value) and math.isnan(wanted))


def _with_note(run: "Run", wanted: Content) -> Content:
    """Return the tags with the run's own description if the user has written one; ours is known by its hash."""
    note = run.data.tags.get(NOTE)
    if note is None or digest(note) == run.data.tags.get(OUR_NOTE):
        return wanted
    return wanted._replace(tags={name: value for name, value in wanted.tags.items() if name != NOTE})


def _of_others(run: "Run") -> dict[str, str]:
    """Return the tags that survive when a run is replaced: DVC's names for it, and the user's own."""
    return {name: value for name, value in run.data.tags.items() if not name.startswith(f"{NAME}.")}


def _log_data(store: Store, run: str, name: str, digest: str) -> None:
    """Which images: their set and the hash that DVC knows them by; MLflow keeps one of each."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"tags": {"dvc": paths.PACKED.as_posix()}})
    described = Dataset(name=name, digest=digest, source_type="code", source=source)
    store.client.log_inputs(run, datasets=[DatasetInput(described, [InputTag("mlflow.data.context", "training")])])


def _add_names(store: Store, before: "Run | None", run: str, names: Iterable[str]) -> None:
    known = [name for name in (before.data.tags.get(DVC_NAMES, "") if before else "").split(",") if name]
    added = [name for name in names if name not in known]
    if added:
        store.client.set_tag(run, DVC_NAMES, ",".join([*known, *added]))
