"""dvc.lock, which DVC writes after each stage: the hashes of what stages read and wrote."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.files import parse_yaml

SHORTEST_MD5 = 3
WAY_OUT = f"`git restore {paths.LOCK}` restores the committed one; or delete it, and `dvc repro` writes it again"


def check() -> None:
    """Refuse a dvc.lock that DVC cannot read, as a kill or a merge leaves it; a missing file passes.

    Raises:
        InputError: with the way out.
    """
    if paths.LOCK.exists():
        check_whole(paths.LOCK.read_bytes())


def check_whole(content: bytes) -> None:
    """Refuse a content that DVC's own schema would; importing that takes longer than reading the file.

    Raises:
        InputError: for a file that is empty, cut, or left of a merge, with the way out.
    """
    found = stages(content)
    if not parse_yaml(content, paths.LOCK).get("schema"):
        raise InputError(f"{paths.LOCK}: has no schema; {WAY_OUT}")
    for name, stage in found.items():
        if not is_whole(stage):
            raise InputError(f"{paths.LOCK}: the stage {name} is incomplete; {WAY_OUT}")


def stages(content: bytes, way_out: str = WAY_OUT) -> Mapping[str, Any]:
    """Return what dvc.lock has of each stage, by the stage's name.

    Args:
        content: of the file.
        way_out: for messages.

    Raises:
        InputError: for a file that is empty, cut, or left of a merge, with the way out.
    """
    if not content.strip():
        raise InputError(f"{paths.LOCK}: empty; {way_out}")
    try:
        values = parse_yaml(content, paths.LOCK)
    except InputError as error:
        raise InputError(f"{error}; {way_out}") from None
    found = stages_in(values)
    if found is None:
        raise InputError(f"{paths.LOCK}: has no stages; {way_out}")
    return found


def stages_in(values: Any) -> dict[str, Any] | None:
    """Return the stages in the values of dvc.lock; None where these are no stages."""
    found = values.get("stages", {}) if isinstance(values, dict) else None
    return found if isinstance(found, dict) and all(isinstance(stage, dict) for stage in found.values()) else None


def outputs(stages: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path and the MD5 of every output that has one."""
    for stage in stages.values():
        yield from ((out["path"], str(out["md5"])) for out in stage.get("outs", ()) if "md5" in out)


def is_whole(stage: Mapping[str, Any]) -> bool:
    """Return whether a stage is as DVC writes it, not cut."""
    entries = [stage.get(kind, []) for kind in ("deps", "outs")]
    return bool(stage.get("cmd")) and all(isinstance(each, list) and all(map(_is_entry, each)) for each in entries)


def _is_entry(one: object) -> bool:
    # A cut leaves a key without its value, or with the beginning of one, of which DVC asks for three signs.
    if not isinstance(one, dict) or not isinstance(one.get("path"), str) or None in one.values():
        return False
    return len(str(one.get("md5", "md5"))) >= SHORTEST_MD5
