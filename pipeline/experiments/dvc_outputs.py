"""DVC's outputs in a revision from the files that git has of it, resolved as DVC does but without its index.

That takes DVC half a second for a revision, most of it to parse and check dvc.yaml and dvc.lock. What is not of the
plain form that dvc.yaml has here is left to it.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.core import lock_texts
from pipeline.core.errors import InputError

# The matrix and the variable in an output's path that dvc.yaml has, and where any other would begin.
MATRIX, ITEM, VARIABLE = {"repeat": "${repeats}"}, "${item.repeat}", "${"


def hashes(definition: bytes, params: bytes, lock: bytes) -> dict[str, str]:
    """Return the MD5 of each output in DVC's cache, by its path; none where a file is not as DVC would have it.

    A repeat that dvc.lock keeps from another time is no output, as params.yaml does not name it.

    Args:
        definition: dvc.yaml.
        params: params.yaml.
        lock: dvc.lock.
    """
    from yaml import YAMLError

    try:
        locked = lock_texts.stages(lock)
        outputs = list(_outputs(_definition(definition)["stages"], _loaded(params)["repeats"]))
        known = {
            (name, out["path"]): str(out["md5"])
            for name, stage in locked.items()
            for out in stage.get("outs", ())
            if out.get("hash") == "md5" and "md5" in out
        }
    except (YAMLError, UnicodeDecodeError, LookupError, TypeError, AttributeError, InputError):
        return {}
    return {path: known[name, path] for name, path in outputs if (name, path) in known}


def _outputs(stages: Mapping[str, Any], repeats: list[int]) -> Iterator[tuple[str, str]]:
    """Yield each output with the name of its stage."""
    for name, stage in stages.items():
        one_each = stage.get("matrix") == MATRIX
        items = [(f"{name}@{one}", str(one)) for one in repeats] if one_each else [(name, ITEM)]
        for out in stage.get("outs", ()):
            written = out if isinstance(out, str) else next(iter(out))
            for full, item in items:
                path = written.replace(ITEM, item)
                if VARIABLE not in path:
                    yield full, path


@lru_cache(maxsize=4)
def _definition(content: bytes) -> Any:
    """Return what dvc.yaml holds, which is the same in most revisions."""
    return _loaded(content)


def _loaded(content: bytes) -> Any:
    import yaml

    return yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def find(outputs: Mapping[str, str], path: Path) -> tuple[str, str] | None:
    """Return the MD5 of the output that a path is, or is in, and the path within; None if there is no such output."""
    place = PurePosixPath(path.as_posix())
    for above in (place, *place.parents):
        if (md5 := outputs.get(str(above))) is not None:
            return md5, "" if above == place else str(place.relative_to(above))
    return None


def cache(root: Path, revision: str) -> Path | None:
    """Return the folder of DVC's cache for a revision, by the settings of it and of the clone; None where it has none.

    Raises:
        DvcException: where these are not what DVC takes.
    """
    from dvc.api import DVCFileSystem

    of_revision = DVCFileSystem(str(root), rev=revision).repo.cache
    return None if of_revision.local is None else Path(of_revision.local_cache_dir)
