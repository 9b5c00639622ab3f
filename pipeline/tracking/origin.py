"""The origin of a run, so that it can be made again: commit, uncommitted changes, DVC's hashes, machine."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core.record_file import RecordFile
from pipeline.core.records import MachineRecord, Record
from pipeline.tracking import privacy
from pipeline.tracking.results import Results

FILE, CHANGES = "origin.json", "changes.diff"
# Gathers what the others made, and quotes run times.
GATHERING = "report"


class RunOrigin(RecordFile):
    """The origin of one run.

    Attributes:
        repeats: which it covers.
        commit: the commit that was checked out at its newest training; empty outside git.
        changes: what differed from that commit, as `git apply` takes it; None where it was not kept.
        stages: dvc.lock's entries of its stages, but for the report.
        records: what each repeat's result follows from.
        machines: each repeat's device, threads and versions.
    """

    repeats: list[int]
    commit: str
    changes: str | None
    stages: dict[str, Any]
    records: dict[int, Record]
    machines: dict[int, MachineRecord]


def made_from(results: Results, repeats: Iterable[int]) -> RunOrigin:
    """Return what these repeats of an experiment were made from."""
    numbers = sorted(repeats)
    by_number = {one.number: one for one in results.repeats if one.number in numbers}
    newest = max((one.runtime for one in by_number.values()), key=lambda runtime: runtime.started)
    return RunOrigin(
        repeats=numbers,
        commit=newest.git_commit,
        changes=newest.git_changes,
        stages=stages_of(results.stages, numbers),
        records={number: one.record for number, one in by_number.items()},
        machines={number: one.runtime.machine for number, one in by_number.items()},
    )


def stages_of(stages: Mapping[str, Any], repeats: Iterable[int]) -> dict[str, Any]:
    """Return of dvc.lock, which keeps repeats of old, the stages that these repeats follow from."""
    wanted = {"", *map(str, repeats)}
    return {name: stage for name, stage in stages.items() if name != GATHERING and name.partition("@")[2] in wanted}


def files(origin: RunOrigin, *, images: bool) -> dict[str, bytes]:
    """Return the artifacts that a run keeps of it; `images` is as in `privacy`."""
    if not images:
        hidden = {
            "changes": privacy.changes(origin.changes),
            "stages": privacy.stages(origin.stages),
            "records": {number: one.public() for number, one in origin.records.items()},
        }
        origin = origin.model_copy(update=hidden)
    changes = {CHANGES: origin.changes.encode()} if origin.changes else {}
    return {FILE: origin.dumped().encode()} | changes
