"""The content of the runs of one experiment: names, tags, parameters, numbers and files, without MLflow."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from pipeline.core import paths, percents
from pipeline.core.records import Record, Runtime
from pipeline.core.scores_record import Scores
from pipeline.core.seeding import digest
from pipeline.evaluation.compare.repeats import Files, Repeat
from pipeline.tracking import labels, metric_names, origin, privacy
from pipeline.tracking.results import Results

# What all repeats are made of, with DVC's hash of it as a tag.
SHARED = {"dvc.data": paths.PACKED, "dvc.weights": paths.SOURCE}
# Measured anew each time that an equal training runs, so never a reason to replace a run.
TIMINGS = ("train_seconds", "cache_seconds", "images_per_second")
# The mean has the name that a repeat's value has. MLflow sorts by name, and puts names with a slash before all others.
STATISTICS = {"mean": "{}", "sd": "{}_sd", "low": "{}_low", "high": "{}_high"}
TIMINGS_AND_SPREAD = frozenset(form.format(name) for name in TIMINGS for form in STATISTICS.values())
NOT_CURVES = frozenset({"epoch", "iteration"})
LONGEST_DIGEST = 36


class Point(NamedTuple):
    """One value of one metric; `when` is in milliseconds since 1970."""

    name: str
    value: float
    step: int
    when: int


class Content(NamedTuple):
    """Content of one run."""

    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    timings: list[Point]
    files: dict[str, bytes]
    started: int
    ended: int
    data: tuple[str, str]

    def mark(self) -> str:
        """Return one hash over what counts: not tags, and not times."""
        values = [[point.name, repr(point.value), point.step] for point in self.points]
        files = {name: sha256(content).hexdigest() for name, content in self.files.items()}
        return digest([self.params, sorted(values), files])


def parent_content(results: Results, files: Files, *, images: bool) -> Content:
    """Return what the run of the experiment itself should hold; `images` is as in `privacy`."""
    first, numbers = results.repeats[0], [one.number for one in results.repeats]
    naming = first.runtime.naming
    ended = max(_ended(one.runtime) for one in results.repeats)
    seeds = {"seeds": labels.text([one.record.seed for one in results.repeats])}
    statistics = list(_statistics(results.summary, ended))
    shown = {path.relative_to("metrics").as_posix(): files.read(path) for path in _parent_files(files, images=images)}
    note = {labels.NOTE: answer(results.summary, first, numbers, images=images)}
    tags = (
        labels.parent_tags(first.record, naming) | _provenance_tags(first.runtime) | _hash_tags(SHARED, results.hashes)
    )
    return Content(
        tags=tags | note,
        params=labels.parent_params(_shown(first.record, images), first.runtime.data_sha256, numbers) | seeds,
        points=[*_mean_curves(results.repeats), *(p for p in statistics if not _is_timing(p))],
        timings=[point for point in statistics if _is_timing(point)],
        files=shown | origin.files(origin.made_from(results, numbers), images=images),
        started=min(_started(one.runtime) for one in results.repeats),
        ended=ended,
        data=_data(first, results.hashes),
    )


def _parent_files(files: Files, *, images: bool) -> list[Path]:
    report = [path for path in files.names(paths.REPORT) if not path.name.startswith(".")]
    return [paths.SUMMARY, *(report if images else privacy.charts(report))]


def _shown(record: Record, images: bool) -> Record:
    return record if images else record.public()


def _statistics(summary: Mapping[str, Any], when: int) -> Iterator[Point]:
    for name, numbers in summary.items():
        for statistic, form in STATISTICS.items():
            if name != "repeats" and statistic in numbers:
                yield Point(metric_names.valid(form.format(name)), float(numbers[statistic]), 0, when)


def _is_timing(point: Point) -> bool:
    return point.name in TIMINGS_AND_SPREAD


def _mean_curves(repeats: Sequence[Repeat]) -> Iterator[Point]:
    """Yield the curves that all repeats have, the mean over them at each epoch, under a repeat's own names."""
    values: dict[tuple[str, int], list[float]] = {}
    when = {point.step: point.when for point in _curves(repeats[-1])}
    for one in repeats:
        for point in _curves(one):
            values.setdefault((point.name, point.step), []).append(point.value)
    for (name, step), measured in values.items():
        if len(measured) == len(repeats):
            yield Point(name, fmean(measured), step, when[step])


def answer(summary: Mapping[str, Any], first: Repeat, repeats: Sequence[int], *, images: bool) -> str:
    """Return what came out, in a line of Markdown."""
    record = first.record
    accuracy = summary["accuracy"]
    spread = f" ± {100 * accuracy['sd']:.1f} (sd)" if "sd" in accuracy else ""
    noun = "repeats" if len(repeats) > 1 else "repeat"
    return (
        f"Test accuracy **{percents.number(accuracy['mean'])}{spread} %** over {len(repeats)} {noun} on "
        f"{first.runtime.naming.data or record.data.set}, {record.parts.test} test images each. "
        f"The {'page' if images else 'summary'} is the artifact `report/{'index.html' if images else 'summary.md'}`; "
        "`orbweaver reproduce` with this run's ID makes it again."
    )


def child_content(one: Repeat, results: Results, files: Files, *, images: bool) -> Content:
    """Return what the run of one repeat should hold; `images` is as in `privacy`."""
    ended = _ended(one.runtime)
    evaluated, trained = paths.evaluation(one.number), paths.training_metrics(one.number)
    own = {"dvc.split": paths.split_file(one.number), "dvc.model": paths.trained(one.number)}
    tracked = SHARED | own | {"dvc.curves": trained, "dvc.scores": evaluated}
    tables = [evaluated / "predictions.csv", evaluated / "scores.json"]
    shown = {path.name: files.read(path) for path in tables}
    if images:
        shown |= {"record.json": files.read(trained / "record.json")}
        shown |= {"runtime.json": files.read(paths.runtime_file(one.number))}
    else:
        shown |= {"predictions.csv": privacy.predictions(shown["predictions.csv"])}
        shown |= {"record.json": one.record.public().dumped().encode()}
        shown |= {"runtime.json": privacy.runtime(one.runtime).dumped().encode()}
    return Content(
        tags=labels.child_tags(one.record, one.runtime.naming)
        | _provenance_tags(one.runtime)
        | _hash_tags(tracked, results.hashes),
        params=labels.child_params(_shown(one.record, images), one.runtime.data_sha256),
        points=[*_curves(one), *_scores(one.scores, ended)],
        timings=[Point(name, getattr(one.runtime, name), 0, ended) for name in TIMINGS],
        files=shown | origin.files(origin.made_from(results, [one.number]), images=images),
        started=_started(one.runtime),
        ended=ended,
        data=_data(one, results.hashes),
    )


def _curves(one: Repeat) -> Iterator[Point]:
    when = _started(one.runtime)
    seconds = [*one.runtime.epoch_seconds, *[0.0] * len(one.history)]
    for row, passed in zip(one.history, seconds, strict=False):
        when += round(1000 * passed)
        for name, text in row.items():
            if name not in NOT_CURVES and text:
                yield Point(metric_names.valid(name), float(text), int(row["epoch"]), when)


def _scores(scores: Scores, when: int) -> Iterator[Point]:
    """Yield numbers by their names; a class's under `precision/<class>` and so on."""
    classes = metric_names.of_classes(scores.classes)
    for name, value in {**scores.by_name, "test_images": scores.test_images}.items():
        yield Point(metric_names.valid(name), float(value), 0, when)
    for label, numbers in scores.classes.items():
        for name, value in numbers.model_dump().items():
            yield Point(metric_names.valid(f"{name}/{classes[label]}"), float(value), 0, when)


def _provenance_tags(runtime: Runtime) -> dict[str, str]:
    versions = {f"version.{name}": value for name, value in runtime.versions.items()}
    commit = {labels.COMMIT: runtime.git_commit} if runtime.git_commit else {}
    return versions | commit | {"git_dirty": labels.text(runtime.git_dirty), "device_name": runtime.device_name}


def _hash_tags(tracked: Mapping[str, Path], hashes: Mapping[str, str]) -> dict[str, str]:
    return {tag: hashes[path.as_posix()] for tag, path in tracked.items() if path.as_posix() in hashes}


def _data(one: Repeat, hashes: Mapping[str, str]) -> tuple[str, str]:
    digest = hashes.get(paths.PACKED.as_posix(), one.runtime.data_sha256)
    return one.runtime.naming.data or one.record.data.set, digest[:LONGEST_DIGEST]


def _started(runtime: Runtime) -> int:
    return round(1000 * runtime.started.timestamp())


def _ended(runtime: Runtime) -> int:
    return _started(runtime) + round(1000 * runtime.train_seconds)
