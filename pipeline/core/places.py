"""The places of the user's own files, which no resolved recipe holds: they differ from machine to machine.

A stage reads them here, and not from its command, in which a shell would read them first. DVC knows them as `deps`.
"""

import hashlib
from pathlib import Path
from typing import Literal

from pipeline.core import lock_texts, paths
from pipeline.core.errors import InputError
from pipeline.core.files import read_yaml
from pipeline.core.shortening import shown


def check_absolute(key: str, place: str) -> None:
    """Refuse a relative path, which a run in another folder would not find.

    Raises:
        InputError: naming the key of params.yaml, the path, and an absolute one.
    """
    path = Path(place)
    if not path.is_absolute():
        raise InputError(
            f"{key}: {place!r} is relative, which queued and --temp runs would not find; "
            f"give an absolute path such as {paths.root() / path.expanduser()}"
        )


def own(key: Literal["folder", "archive", "weights_file"]) -> str:
    """Return a place as params.yaml has it, which the stage `validate` has checked.

    Raises:
        InputError: where that file has been changed since: DVC records the place that it read when the run began.
    """
    check_unedited()
    values = read_yaml(paths.PARAMS)
    place = values.get(key) if isinstance(values, dict) else None
    if not isinstance(place, str) or not place:
        raise InputError(f"{paths.PARAMS}: {key}: {shown(place)} is not a path; give one")
    return place


def check_unedited() -> None:
    """Refuse a params.yaml that is not the one of the stage `validate`, as far as dvc.lock knows.

    Raises:
        InputError: where it was edited since.
    """
    checked = lock_texts.stages(paths.LOCK.read_bytes()).get("validate", {}) if paths.LOCK.exists() else {}
    # Earlier versions of DVC hashed texts in another way.
    known = {dep["md5"] for dep in checked.get("deps", ()) if dep["path"] == str(paths.PARAMS) and "hash" in dep}
    if known - {hashlib.md5(paths.PARAMS.read_bytes(), usedforsecurity=False).hexdigest()}:
        raise InputError(f"{paths.PARAMS}: edited since this run began; `dvc repro` runs it as it is now")
