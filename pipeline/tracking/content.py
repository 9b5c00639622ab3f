"""What the runs of one experiment should hold: names, tags, parameters, numbers and files, without MLflow."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from pipeline.core import paths
from pipeline.core.files import flat
from pipeline.core.recipe import NONE
from pipeline.core.seeding import digest
from pipeline.networks.strategies import EVERYTHING, SCRATCH
from pipeline.tracking import origin
from pipeline.tracking.results import Files, Results, Trial

# Of the record: what differs between the repeats of one experiment.
OF_ONE_REPEAT = frozenset({"repeat", "seed", "parts"})

NAME = "orbweaver"
KEY, REPEAT, CONTENT = f"{NAME}.key", f"{NAME}.repeat", f"{NAME}.content"
PARENT, RUN_NAME, COMMIT = "mlflow.parentRunId", "mlflow.runName", "mlflow.source.git.commit"
NOTE = "mlflow.note.content"

# What to filter by in the UI: a tag, and where its value is in the recipe.
LABELS = {
    "data": "data.set",
    "backbone": "network.backbone",
    "weights": "network.weights",
    "strategy": "network.freeze",
    "attention": "network.attention",
    "regularizer": "regularizer.method",
}
# What all repeats are made of, with DVC's hash of it as a tag.
SHARED = {"dvc.data": paths.PACKED, "dvc.weights": paths.SOURCE}
# What an experiment's run is named by, in this order; then the recipe.
NAMED_BY = ("backbone", "strategy", "attention", "regularizer")
# Measured anew each time that an equal training runs, so never a reason to replace a run.
TIMINGS = ("train_seconds", "cache_seconds", "images_per_second")
# The mean has the name that a repeat's value has. MLflow sorts by name, and puts names with a slash before all others.
STATISTICS = {"mean": "{}", "sd": "{}_sd", "low": "{}_low", "high": "{}_high"}
TIMINGS_AND_SPREAD = frozenset(form.format(name) for name in TIMINGS for form in STATISTICS.values())
NOT_CURVES = frozenset({"epoch", "iteration"})
LONGEST_NAME, LONGEST_PARAM, LONGEST_DIGEST = 250, 6000, 36


class Point(NamedTuple):
    """One value of one metric; `when` is in milliseconds since 1970."""

    name: str
    value: float
    step: int
    when: int


class Content(NamedTuple):
    """What one run should hold."""

    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    timings: list[Point]
    files: dict[str, bytes]
    started: int
    ended: int
    data: tuple[str, str]

    def mark(self) -> str:
        """One hash over what counts: not tags, and not when it was."""
        values = [[point.name, repr(point.value), point.step] for point in self.points]
        files = {name: sha256(content).hexdigest() for name, content in self.files.items()}
        return digest([self.params, sorted(values), files])


def valid_name(name: str) -> str:
    """A name that MLflow takes: letters, digits, `_ - . / :` and blanks stay, others become their code point.

    >>> valid_name("precision/C#"), valid_name("f1/Éristale tenax")
    ('precision/C_x23_', 'f1/Éristale tenax')
    """
    return re.sub(r"[^\w./: -]", lambda found: f"_x{ord(found[0]):x}_", name)[:LONGEST_NAME]


def parent_content(results: Results, files: Files) -> Content:
    """What the run of the experiment itself should hold."""
    first = results.trials[0]
    starts = [_started(trial.runtime) for trial in results.trials]
    ends = [_ended(trial.runtime) for trial in results.trials]
    repeats = [trial.repeat for trial in results.trials]
    seeds = {"seeds": _text([trial.record["seed"] for trial in results.trials])}
    statistics = list(_statistics(results.summary, max(ends)))
    shown = {path.relative_to("metrics").as_posix(): files.read(path) for path in _parent_files(files)}
    note = {NOTE: answer(results.summary, first.record, repeats)}
    tags = parent_tags(first.record) | _provenance_tags(first.runtime) | _hash_tags(SHARED, results.hashes)
    return Content(
        tags=tags | note,
        params=parent_params(first.record, repeats) | seeds,
        points=[*_mean_curves(results.trials), *(p for p in statistics if not _is_timing(p))],
        timings=[point for point in statistics if _is_timing(point)],
        files=shown | origin.files(origin.made_from(results, repeats)),
        started=min(starts),
        ended=max(ends),
        data=_data(first.record, results.hashes),
    )


def _parent_files(files: Files) -> list[Path]:
    shown = [path for path in files.names(paths.REPORT) if not path.name.startswith(".")]
    return [paths.SUMMARY, *shown]


def _statistics(summary: Mapping[str, Any], when: int) -> Iterator[Point]:
    for name, numbers in summary.items():
        for statistic, form in STATISTICS.items():
            if name != "repeats" and statistic in numbers:
                yield Point(valid_name(form.format(name)), float(numbers[statistic]), 0, when)


def _is_timing(point: Point) -> bool:
    return point.name in TIMINGS_AND_SPREAD


def _mean_curves(trials: Sequence[Trial]) -> Iterator[Point]:
    """The curves that all repeats have, the mean over them at each epoch, under the names that a repeat's have."""
    values: dict[tuple[str, int], list[float]] = {}
    when = {point.step: point.when for point in _curves(trials[-1])}
    for trial in trials:
        for point in _curves(trial):
            values.setdefault((point.name, point.step), []).append(point.value)
    for (name, step), found in values.items():
        if len(found) == len(trials):
            yield Point(name, fmean(found), step, when[step])


def answer(summary: Mapping[str, Any], record: Mapping[str, Any], repeats: Sequence[int]) -> str:
    """What came out, in a line of Markdown."""
    accuracy = summary["accuracy"]
    spread = f" ± {100 * accuracy['sd']:.1f} (sd)" if "sd" in accuracy else ""
    noun = "repeats" if len(repeats) > 1 else "repeat"
    return (
        f"Test accuracy **{100 * accuracy['mean']:.1f}{spread} %** over {len(repeats)} {noun} on "
        f"{_labels(record).get('data', 'its data')}, {record['parts']['test']} test images each. "
        "The page is the artifact `report/index.html`; `orbweaver reproduce` with this run's ID makes it again."
    )


def child_content(trial: Trial, results: Results, files: Files) -> Content:
    """What the run of one repeat should hold."""
    ended = _ended(trial.runtime)
    evaluated, trained = paths.evaluation(trial.repeat), paths.training_metrics(trial.repeat)
    own = {"dvc.split": paths.split_file(trial.repeat), "dvc.model": paths.trained(trial.repeat)}
    tracked = SHARED | own | {"dvc.curves": trained, "dvc.scores": evaluated}
    shown = [
        evaluated / "predictions.csv",
        evaluated / "scores.json",
        trained / "record.json",
        paths.runtime_file(trial.repeat),
    ]
    return Content(
        tags=child_tags(trial.record) | _provenance_tags(trial.runtime) | _hash_tags(tracked, results.hashes),
        params=child_params(trial.record),
        points=[*_curves(trial), *_scores(trial.scores, ended)],
        timings=[Point(n, float(trial.runtime[n]), 0, ended) for n in TIMINGS if n in trial.runtime],
        files={_artifact_name(path): files.read(path) for path in shown}
        | origin.files(origin.made_from(results, [trial.repeat])),
        started=_started(trial.runtime),
        ended=ended,
        data=_data(trial.record, results.hashes),
    )


def _artifact_name(path: Path) -> str:
    return "runtime.json" if path.parent == paths.runtime_file(0).parent else path.name


def _curves(trial: Trial) -> Iterator[Point]:
    when = _started(trial.runtime)
    seconds = [*trial.runtime.get("epoch_seconds", ()), *[0.0] * len(trial.history)]
    for row, passed in zip(trial.history, seconds, strict=False):
        when += round(1000 * passed)
        for name, text in row.items():
            if name not in NOT_CURVES and text:
                yield Point(valid_name(name), float(text), int(row["epoch"]), when)


def _scores(scores: Mapping[str, Any], when: int) -> Iterator[Point]:
    """Numbers by their names; a class's under `precision/<class>` and so on."""
    for name, value in scores.items():
        if isinstance(value, int | float):
            yield Point(valid_name(name), float(value), 0, when)
    for label, numbers in scores["classes"].items():
        for name, value in numbers.items():
            yield Point(valid_name(f"{name}/{label}"), float(value), 0, when)


def parent_params(record: Mapping[str, Any], repeats: Iterable[int]) -> dict[str, str]:
    """The parameters that all repeats share, and which repeats they are."""
    shared = {name: value for name, value in record.items() if name not in OF_ONE_REPEAT}
    return child_params(shared) | {"repeats": _text(sorted(repeats))}


def child_params(record: Mapping[str, Any]) -> dict[str, str]:
    """The recipe's values by their dotted names, and what else the record holds; of the classes only their number."""
    others = {name: value for name, value in record.items() if name not in ("key", "recipe")}
    others["data"] = record["data"] | {"classes": len(record["data"]["classes"])}
    named = dict(flat(others)) | dict(flat(record["recipe"]))
    return {valid_name(name): _text(value)[:LONGEST_PARAM] for name, value in named.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _labels(record: Mapping[str, Any]) -> dict[str, str]:
    recipe = dict(flat(record["recipe"]))
    chosen = {label: str(recipe[name]) for label, name in LABELS.items() if name in recipe}
    return {"recipe": record["recipe_name"], "device": record["device"], "mlflow.source.name": NAME} | chosen


def parent_tags(record: Mapping[str, Any]) -> dict[str, str]:
    """What to find an experiment's run by."""
    return _labels(record) | {RUN_NAME: run_name(record)}


def run_name(record: Mapping[str, Any]) -> str:
    """What is special about an experiment, such as `resnet18 3b ecsm · quick`."""
    labels = _labels(record)
    if (labels["strategy"], labels["weights"]) == (EVERYTHING, NONE):
        labels["strategy"] = SCRATCH
    words = [labels.get(name, NONE) for name in NAMED_BY]
    return f"{' '.join(word for word in words if word != NONE)} · {record['recipe_name']}"


def child_tags(record: Mapping[str, Any]) -> dict[str, str]:
    """What to find a repeat's run by."""
    name = f"{run_name(record)} · repeat {record['repeat']}"
    return _labels(record) | {RUN_NAME: name, REPEAT: str(record["repeat"])}


def _provenance_tags(runtime: Mapping[str, Any]) -> dict[str, str]:
    versions = {f"version.{name}": str(value) for name, value in runtime.get("versions", {}).items()}
    told = {
        COMMIT: runtime.get("git_commit"),
        "git_dirty": runtime.get("git_dirty"),
        "device_name": runtime.get("device_name"),
    }
    return versions | {name: _text(value) for name, value in told.items() if value not in (None, "")}


def _hash_tags(tracked: Mapping[str, Path], hashes: Mapping[str, str]) -> dict[str, str]:
    return {tag: hashes[path.as_posix()] for tag, path in tracked.items() if path.as_posix() in hashes}


def _data(record: Mapping[str, Any], hashes: Mapping[str, str]) -> tuple[str, str]:
    digest = hashes.get(paths.PACKED.as_posix(), record["data"]["sha256"])
    return record["data"]["set"], digest[:LONGEST_DIGEST]


def _started(runtime: Mapping[str, Any]) -> int:
    return round(1000 * datetime.fromisoformat(runtime["started"]).timestamp())


def _ended(runtime: Mapping[str, Any]) -> int:
    return _started(runtime) + round(1000 * float(runtime["train_seconds"]))
