"""The way to have a damaged output back: from DVC's cache, or anew where its object there is damaged too."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.core import dvc_cache, lockfile, paths, shell
from pipeline.core.errors import InputError


def way_out(file: Path, sums: Path, read: Callable[[Path], bytes], again: str) -> str:
    """Return the commands that bring a file back that is not what its stage has written.

    DVC takes an object of its cache for right that has the right name: neither `dvc checkout` nor `dvc repro --force`
    replaces a damaged one, so it has to go first.

    Args:
        file: relative to the project's root.
        sums: the file of its digest, which may be what is damaged.
        read: reads a file of the revision that `file` is of.
        again: what makes the files of that revision again.
    """
    # A file that is an output by itself has its digest in another one.
    outs = [file, sums] if sums.suffix == paths.DIGEST else [sums.parent]
    objects = _objects(file, sums, outs, read)
    damaged = [one for one in objects if one.is_file() and _md5(one) != one.parent.name + one.name]
    if read is not Path.read_bytes:
        removed = f": `rm -f {_words(*damaged)}`, then" if damaged else ";"
        return f"DVC's cache holds it{removed} {again}"
    if damaged:
        return f"DVC's cache holds wrong bytes too: `rm -rf {_words(*outs, *damaged)}`, then {again}"
    if objects and all(one.is_file() for one in objects):
        return f"`rm -rf {_words(*outs)}`, then `dvc checkout {_words(*outs)}` restores it"
    return f"`rm -rf {_words(*outs)}`, then {again}"


def _objects(file: Path, sums: Path, outs: Sequence[Path], read: Callable[[Path], bytes]) -> list[Path]:
    """Return the objects of DVC's cache that should hold a file and its digest; none where dvc.lock has no output."""
    try:
        hashes = dict(lockfile.outputs(lockfile.stages(read(paths.LOCK))))
        if outs[0].as_posix() not in hashes:
            return []
        cache = _cache()
        contents = [md5 for one in (file, sums) for md5 in _contents(one, outs[0], hashes, cache)]
    # The message of the damage must not be lost for want of a hint.
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [dvc_cache.object_of(cache, md5) for md5 in contents]


def _contents(file: Path, own: Path, hashes: dict[str, str], cache: Path) -> Iterator[str]:
    """Yield the MD5 that DVC knows a file by, if it knows it."""
    md5 = hashes.get(file.as_posix()) or hashes.get(own.as_posix())
    if md5 and md5.endswith(dvc_cache.FOLDER):
        listing = dvc_cache.listing(dvc_cache.object_of(cache, md5)) or {}
        if (name := file.relative_to(own).as_posix()) in listing:
            yield listing[name]
    elif md5:
        yield md5


def _cache() -> Path:
    """Return the folder of DVC's cache, as its settings have it."""
    done = subprocess.run((sys.executable, "-m", "dvc", "cache", "dir"), capture_output=True, text=True, check=False)
    place = done.stdout.strip()
    return Path(place) if place else paths.root() / ".dvc/cache"


def _words(*places: Path) -> str:
    return shell.join(map(str, places))


def _md5(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
