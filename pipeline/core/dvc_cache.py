"""The objects of DVC's cache: where each is by its MD5, and the files of a folder there; DVC itself is not imported."""

import json
from functools import lru_cache
from pathlib import Path

# The end of the MD5 of a folder, whose object lists its files.
FOLDER = ".dir"


def object_of(cache: Path, md5: str) -> Path:
    """Return the path of an object in DVC's cache, whether or not it exists.

    >>> object_of(Path("cache"), "0123").as_posix()
    'cache/files/md5/01/23'
    """
    return cache / "files/md5" / md5[:2] / md5[2:]


def listing(place: Path) -> dict[str, str] | None:
    """Return the MD5 of each file of a folder in DVC's cache, by its path there; None where the cache lacks it."""
    # Asked each time: it may come into the cache.
    return _listing(place) if place.is_file() else None


@lru_cache(maxsize=256)
def _listing(place: Path) -> dict[str, str]:
    return {one["relpath"]: one["md5"] for one in json.loads(place.read_bytes())}
