"""The files of one experiment, read and checked: the record that MLflow is a view of."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.core import lock_texts, lockfile, paths
from pipeline.core.errors import InputError
from pipeline.core.records import Record
from pipeline.core.seeding import digest
from pipeline.evaluation.compare import repeats
from pipeline.evaluation.compare.repeats import Files, Folder, Repeat
from pipeline.reporting import confidence_intervals

# Of a record, what may differ between repeats that DVC takes for up to date: it looks at a training's own code alone,
# and at no machine.
UNSEEN = {
    "code": "code",
    "threads": "threads",
    "device": "device",
    "device_model": "model of the GPU",
    "cpu_instructions": "CPU instructions",
}
ALIKE = "`dvc repro --force --single-item train`, then `dvc repro`, trains all alike"


class IncompleteError(InputError):
    """An experiment whose files are not all there, or not all of one experiment."""


class Results(NamedTuple):
    """One experiment, as its files tell it; `lock` is dvc.lock, empty where there is none."""

    key: str
    summary: dict[str, Any]
    repeats: list[Repeat]
    hashes: dict[str, str]
    lock: bytes

    @property
    def stages(self) -> Mapping[str, Any]:
        """The stages of dvc.lock with their values, which take longest to read."""
        return _stages(self.lock)


def key_of(record: Record, data_sha256: str, numbers: Iterable[int]) -> str:
    """Return what makes two experiments one: a hash over all that a repeat follows from, all labels, and the repeats.

    Args:
        record: of any repeat.
        data_sha256: of all images and labels.
        numbers: of all repeats.
    """
    return digest([record.key, data_sha256, sorted(numbers)])


def read(files: Files) -> Results:
    """Read one experiment's files.

    Raises:
        IncompleteError: naming a file that is not there, or repeats that are not of one experiment.
    """
    with complete(files.again):
        summary = _summary(files)
        numbers = sorted(int(name) for name in summary["repeats"])
        repeats = _repeats(files, numbers)
        keys = {key_of(one.record, one.runtime.data_sha256, numbers) for one in repeats}
        stale = not _alike(summary, confidence_intervals.summary(repeats))
        lock = _lock(files)
        stages = _locked(files, lock)
        untested = [number for number in numbers if not _is_tested(stages, number)]
    if untested:
        raise IncompleteError(f"{paths.trained(untested[0])}: trained anew but not tested yet; {files.again}")
    if len(keys) != 1 and (apart := _trained_apart(repeats)):
        raise IncompleteError(f"{apart}; {ALIKE if isinstance(files, Folder) else f'{files.again}; after it, {ALIKE}'}")
    if len(keys) != 1 or stale:
        raise IncompleteError(f"{paths.SUMMARY}: not the summary of the repeats beside it; {files.again}")
    return Results(keys.pop(), summary, repeats, _dvc_hashes(stages), lock)


def _trained_apart(repeats: Sequence[Repeat]) -> str:
    """Return in which of `UNSEEN` the repeats differ, in words; nothing where they differ in more."""
    first = repeats[0]
    for other in repeats[1:]:
        alike = all(
            getattr(other.record, name) == getattr(first.record, name) for name in ("recipe", "data", "weights")
        )
        names = [word for name, word in UNSEEN.items() if getattr(other.record, name) != getattr(first.record, name)]
        if not alike or other.runtime.data_sha256 != first.runtime.data_sha256:
            return ""
        if names:
            return f"record.json: repeats {first.number} and {other.number} differ in {', '.join(names)}"
    return ""


def _repeats(files: Files, numbers: Sequence[int]) -> list[Repeat]:
    try:
        return [repeats.read(files, number) for number in numbers]
    except InputError as error:
        raise IncompleteError(str(error)) from None


@contextmanager
def complete(again: str) -> Iterator[None]:
    """Turn what reading an experiment's files can fail with into an `IncompleteError`, with the way out."""
    try:
        yield
    except FileNotFoundError as error:
        raise IncompleteError(f"{error.filename}: {error.strerror}; {again}") from None
    except (KeyError, ValueError) as error:
        raise IncompleteError(f"not files of this version: {error!r}; {again}") from None


def is_finished(files: Files) -> bool:
    """Return whether the experiment got as far as a summary, which may be missing now if dvc.lock knows it."""
    try:
        if files.read(paths.SUMMARY):
            return True
    except FileNotFoundError:
        pass
    return paths.SUMMARY.as_posix() in _dvc_hashes(_locked(files, _lock(files)))


def _lock(files: Files) -> bytes:
    """Return dvc.lock; nothing where there is none."""
    try:
        return files.read(paths.LOCK)
    except FileNotFoundError:
        return b""


def _locked(files: Files, lock: bytes) -> Mapping[str, Any]:
    """Return the paths and hashes of dvc.lock's stages; none where there is no dvc.lock."""
    # Of the working tree's, git has the committed one.
    way_out = lockfile.WAY_OUT if isinstance(files, Folder) else files.again
    try:
        return lock_texts.stages(lock, way_out) if lock else {}
    except InputError as error:
        raise IncompleteError(str(error)) from None


@lru_cache(maxsize=1)
def _stages(content: bytes) -> Mapping[str, Any]:
    """Parse dvc.lock once for the runs of one experiment."""
    return lockfile.stages(content) if content else {}


def _dvc_hashes(stages: Mapping[str, Any]) -> dict[str, str]:
    """Return the MD5 of every output in dvc.lock, by its path."""
    return dict(lockfile.outputs(stages))


def _is_tested(stages: Mapping[str, Any], repeat: int) -> bool:
    """Return whether the network that was tested is the one that was trained last, as far as dvc.lock knows."""
    path = paths.trained(repeat).as_posix()

    def md5(stage: str, kind: str) -> str | None:
        entries = stages.get(f"{stage}@{repeat}", {}).get(kind, ())
        return next((entry.get("md5") for entry in entries if entry["path"] == path), None)

    return md5("train", "outs") == md5("evaluate", "deps")


def _summary(files: Files) -> dict[str, Any]:
    """Read summary.json.

    Raises:
        KeyError, ValueError: if it is not JSON, or names no repeat.
    """
    # Of a whole number with thousands of digits, which an edit can leave, no float could be made later.
    content: Any = json.loads(files.read(paths.SUMMARY), parse_int=float)
    if not isinstance(content, dict) or not isinstance(content["repeats"], dict) or not content["repeats"]:
        raise ValueError(f"{paths.SUMMARY} names no repeat")
    return content


def _alike(value: object, expected: Mapping[str, Any] | float) -> bool:
    """Return whether a value of JSON is what is expected, up to the last digits of another machine."""
    if isinstance(expected, Mapping):
        if not isinstance(value, dict) or value.keys() != expected.keys():
            return False
        return all(_alike(value[name], expected[name]) for name in expected)
    if not isinstance(value, float):
        return False
    return math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-6) or (math.isnan(value) and math.isnan(expected))
