"""The files of one experiment, read and checked: the record that MLflow is a view of."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml

from pipeline.core import paths, records
from pipeline.core.errors import InputError
from pipeline.core.seeding import digest


class IncompleteError(InputError):
    """An experiment whose files are not all there, or not all of one experiment."""


class Files(Protocol):
    """The files of one experiment, wherever they are; paths are relative to the project's root."""

    def read(self, path: Path) -> bytes:
        """The file's bytes.

        Raises:
            FileNotFoundError: if it cannot be had.
        """

    def names(self, folder: Path) -> list[Path]:
        """Every file below the folder; none where there is no such folder."""


class Folder(NamedTuple):
    """The files of a working tree."""

    root: Path

    def read(self, path: Path) -> bytes:
        """The file's bytes, as `Files` has it."""
        return (self.root / path).read_bytes()

    def names(self, folder: Path) -> list[Path]:
        """Every file below the folder, as `Files` has it."""
        return sorted(p.relative_to(self.root) for p in (self.root / folder).rglob("*") if p.is_file())


class Trial(NamedTuple):
    """One repeat, as its files tell it."""

    repeat: int
    record: dict[str, Any]
    history: list[dict[str, str]]
    runtime: dict[str, Any]
    scores: dict[str, Any]


class Results(NamedTuple):
    """One experiment, as its files tell it."""

    key: str
    summary: dict[str, Any]
    trials: list[Trial]
    hashes: dict[str, str]
    stages: dict[str, Any]


def key_of(record: Mapping[str, Any], repeats: Iterable[int]) -> str:
    """What makes two experiments one: what the record's own key is made of, all images and labels, and the repeats."""
    return digest([record["key"], record["data"]["sha256"], sorted(repeats)])


def read(files: Files) -> Results:
    """Read one experiment's files.

    Raises:
        IncompleteError: naming a file that is not there, or repeats that are not of one experiment.
    """
    with complete():
        summary = _json(files, paths.SUMMARY)
        repeats = sorted(int(name) for name in summary["repeats"])
        trials = [_trial(files, repeat) for repeat in repeats]
        keys = {key_of(trial.record, repeats) for trial in trials}
        stale = any(_is_stale(summary, trial) for trial in trials)
        stages = _locked(files)
        untested = [repeat for repeat in repeats if not _is_tested(stages, repeat)]
    if untested:
        raise IncompleteError(f"{paths.trained(untested[0])}: trained anew but not tested yet; run `dvc repro` first")
    if len(keys) != 1 or stale:
        raise IncompleteError(f"{paths.SUMMARY}: not the summary of the repeats beside it; run `dvc repro` first")
    return Results(keys.pop(), summary, trials, _dvc_hashes(stages), stages)


@contextmanager
def complete() -> Iterator[None]:
    """Turn what reading an experiment's files can fail with into an `IncompleteError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise IncompleteError(f"{error.filename}: {error.strerror}") from None
    except (KeyError, ValueError) as error:
        raise IncompleteError(f"not files of this version: {error!r}") from None


def is_finished(files: Files) -> bool:
    """Whether the experiment got as far as a summary, which may be missing now if dvc.lock knows it."""
    if paths.SUMMARY.as_posix() in _dvc_hashes(_locked(files)):
        return True
    try:
        return bool(files.read(paths.SUMMARY))
    except FileNotFoundError:
        return False


def _locked(files: Files) -> dict[str, Any]:
    """The stages of dvc.lock; none where there is no dvc.lock."""
    try:
        stages: dict[str, Any] = yaml.safe_load(files.read(paths.LOCK)).get("stages", {})
    except FileNotFoundError:
        return {}
    return stages


def _dvc_hashes(stages: Mapping[str, Any]) -> dict[str, str]:
    """The MD5 of every output in dvc.lock, by its path."""
    outs = (out for stage in stages.values() for out in stage.get("outs", ()))
    return {out["path"]: str(out["md5"]) for out in outs if "md5" in out}


def _is_tested(stages: Mapping[str, Any], repeat: int) -> bool:
    """Whether the network that was tested is the one that was trained last, as far as dvc.lock knows."""
    path = paths.trained(repeat).as_posix()

    def md5(stage: str, kind: str) -> str | None:
        entries = stages.get(f"{stage}@{repeat}", {}).get(kind, ())
        return next((entry.get("md5") for entry in entries if entry["path"] == path), None)

    return md5("train", "outs") == md5("evaluate", "deps")


def _trial(files: Files, repeat: int) -> Trial:
    trained = paths.training_metrics(repeat)
    history, runtime = files.read(trained / "history.csv").decode(), _json(files, paths.runtime_file(repeat))
    return Trial(
        repeat,
        records.whole(_json(files, trained / "record.json"), runtime),
        list(csv.DictReader(io.StringIO(history, newline=""))),
        runtime,
        _json(files, paths.evaluation(repeat) / "scores.json"),
    )


def _json(files: Files, path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files.read(path))
    return content


def _is_stale(summary: Mapping[str, Any], trial: Trial) -> bool:
    told = summary["repeats"][str(trial.repeat)]["accuracy"]
    return not math.isclose(told, trial.scores["accuracy"], abs_tol=1e-6)
