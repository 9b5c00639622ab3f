"""Two runs of one experiment by what dvc.lock says of them: which outputs differ, and what may be why. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.core import paths
from pipeline.core.files import flat
from pipeline.tracking import RunOrigin

# Measured anew each time; and the settings, of which repeats and threads are set by us, and all others are compared as
# the parameters of the stages.
NOT_COMPARED = (paths.runtime_file(0).parent.as_posix(), paths.RECIPE.as_posix())
CODE = "pipeline/"
# Set for the second run, where the first may have left them open: how many threads, which repeats.
SET_BY_US = frozenset({"threads", "repeats"})
# The device's model is in its name, which is compared with the rest of the machine.
RECORDED = {"seed", "device", "cpu_instructions", "precision", "threads"}


class Output(NamedTuple):
    """One output of both runs; a hash is None where that run has no such output."""

    path: str
    stage: str
    recorded: str | None
    rerun: str | None

    @property
    def identical(self) -> bool:
        """Whether both runs have it, bit by bit."""
        return self.recorded is not None and self.recorded == self.rerun


def outputs(recorded: RunOrigin, rerun: RunOrigin, order: Iterable[str]) -> list[Output]:
    """Return every output but the timings and the settings, in the order in which they are made.

    Args:
        recorded: the run that was.
        rerun: the run that was made now.
        order: the stages' names as dvc.yaml has them.
    """
    place = {name: number for number, name in enumerate(order)}
    names = sorted(
        {**recorded.stages, **rerun.stages},
        key=lambda name: (place.get(name.partition("@")[0], len(place)), int(name.partition("@")[2] or 0)),
    )
    compared = []
    for name in names:
        old, new = (_hashes(one.stages, name, "outs") for one in (recorded, rerun))
        kept = [path for path in {**old, **new} if not path.startswith(NOT_COMPARED)]
        compared += [Output(path, name, old.get(path), new.get(path)) for path in sorted(kept)]
    return compared


def causes(recorded: RunOrigin, rerun: RunOrigin, first: Output) -> list[str]:
    """Return what differs of all that the first differing output follows from, the most likely cause first.

    All outputs before it are identical, so what its own stage reads besides, and the machine, are what is left.
    """
    likely = [*_parameters(recorded, rerun, first.stage), *_records(recorded, rerun, first.stage)]
    likely += [*_files(recorded, rerun, first.stage), *_machines(recorded, rerun)]
    return likely or ["nothing that is recorded differs, so an operation that is not computed the same way each time"]


def _parameters(recorded: RunOrigin, rerun: RunOrigin, stage: str) -> list[str]:
    old, new = (_values(one.stages.get(stage, {}).get("params", {})) for one in (recorded, rerun))
    return [f"parameter {line}" for line in _differences(old, new) if line.split(" ")[0] not in SET_BY_US]


def _values(files: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters by their dotted names; dvc.lock has them by their file."""
    return {name: value for values in files.values() for name, value in flat(values)}


def _records(recorded: RunOrigin, rerun: RunOrigin, stage: str) -> list[str]:
    """Return the differences in seed, device, CPU instructions, precision and threads of the stage's own repeat."""
    repeat = int(stage.partition("@")[2] or 0)
    old, new = (
        one.records[repeat].model_dump(include=RECORDED) if repeat in one.records else {} for one in (recorded, rerun)
    )
    return _differences(old, new)


def _files(recorded: RunOrigin, rerun: RunOrigin, stage: str) -> list[str]:
    """Return the code, data and weights from outside that differ; outputs of other stages are the same."""
    old, new = (_hashes(one.stages, stage, "deps") for one in (recorded, rerun))
    code = sorted(path for path in {**old, **new} if path.startswith(CODE) and old.get(path) != new.get(path))
    outside = [path for path in old if not path.startswith(CODE) and old[path] not in new.values()]
    return [f"code of {path}" for path in code] + [f"content of {path}" for path in outside]


def _machines(recorded: RunOrigin, rerun: RunOrigin) -> list[str]:
    lines: list[str] = []
    for repeat in sorted(recorded.machines.keys() & rerun.machines.keys()):
        old, new = (dict(flat(one.machines[repeat].model_dump())) for one in (recorded, rerun))
        lines += _differences(old, new)
    return list(dict.fromkeys(lines))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a line per differing value, such as `versions.torch 2.5.0 in the run, 2.6.0 here`."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f"{name} {old.get(name, 'absent')} in the run, {new.get(name, 'absent')} here" for name in names]


def _hashes(stages: Mapping[str, Any], stage: str, kind: str) -> dict[str, str]:
    return {entry["path"]: str(entry.get("md5")) for entry in stages.get(stage, {}).get(kind, ())}
