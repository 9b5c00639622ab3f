"""What a run was made from, so that it can be made again: commit, uncommitted changes, DVC's hashes, machine."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.tracking.results import Results

FILE, CHANGES = "origin.json", "changes.diff"
# Of a repeat's run time: what may be why another machine gives other digits.
MACHINE = ("device_name", "threads", "versions")
# Gathers what the others made, and quotes run times.
GATHERING = "report"


class Origin(NamedTuple):
    """What one run was made from, and what came of it.

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
    records: dict[int, dict[str, Any]]
    machines: dict[int, dict[str, Any]]

    def dumped(self) -> bytes:
        """As JSON."""
        return (json.dumps(self._asdict(), indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def parsed(cls, text: bytes) -> "Origin":
        """From what `dumped` gave."""
        found = json.loads(text)
        for name in ("records", "machines"):
            found[name] = {int(repeat): value for repeat, value in found[name].items()}
        return cls(**found)


def made_from(results: Results, repeats: Iterable[int]) -> Origin:
    """What these repeats of an experiment were made from."""
    trials = {trial.repeat: trial for trial in results.trials}
    chosen = sorted(repeats)
    newest = max((trials[repeat].runtime for repeat in chosen), key=lambda runtime: str(runtime["started"]))
    unkept = None if newest.get("git_dirty") else ""
    return Origin(
        repeats=chosen,
        commit=newest.get("git_commit") or "",
        changes=newest.get("git_changes", unkept),
        stages=stages_of(results.stages, chosen),
        records={repeat: trials[repeat].record for repeat in chosen},
        machines={repeat: machine(trials[repeat].runtime) for repeat in chosen},
    )


def machine(runtime: Mapping[str, Any]) -> dict[str, Any]:
    """Of a repeat's run time what does not differ between two trainings on one machine."""
    return {name: runtime[name] for name in MACHINE if name in runtime}


def stages_of(stages: Mapping[str, Any], repeats: Iterable[int]) -> dict[str, Any]:
    """Of dvc.lock, which keeps repeats of old, the stages that these repeats follow from."""
    wanted = {"", *map(str, repeats)}
    return {name: stage for name, stage in stages.items() if name != GATHERING and name.partition("@")[2] in wanted}


def files(found: Origin) -> dict[str, bytes]:
    """The artifacts that a run keeps of it."""
    changes = {CHANGES: found.changes.encode()} if found.changes else {}
    return {FILE: found.dumped()} | changes
