"""The download cache: its folder, a lock per file, and a record of each checked file so that it is hashed once."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs
from filelock import FileLock, Timeout

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.download.download import Download, mismatch

CACHE_VARIABLE = "ORBWEAVER_CACHE"


class Advice(NamedTuple):
    """The ways out that messages name.

    Attributes:
        variable: names another folder.
        own_copy: how to do without a server.
    """

    variable: str = CACHE_VARIABLE
    own_copy: str = "download it yourself and give archive: /path/to/it"


def cache_folder() -> Path:
    """Return the folder of downloads, shared by all clones: $ORBWEAVER_CACHE, or one in the user's cache folder.

    A relative path starts at the clone's root: queued runs have another working directory.
    """
    folder = os.environ.get(CACHE_VARIABLE)
    if folder:
        return paths.root() / Path(folder).expanduser()
    return platformdirs.user_cache_path("orbweaver", appauthor=False)


def make_folder(folder: Path, variable: str = CACHE_VARIABLE) -> None:
    """Create the folder of a cache, which `variable` may set.

    Raises:
        InputError: if the system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: the cache folder cannot be created ({error.strerror}); name another folder in {variable}"
        ) from None


@contextmanager
def locked(file: Path, variable: str = CACHE_VARIABLE) -> Iterator[None]:
    """Hold the lock of one cached file; wait, with a line on stderr, while another process holds it.

    Raises:
        InputError: if the lock file cannot be written.
    """
    lock = FileLock(file.with_name(f".{file.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{file.name}: another process is fetching it; waiting for that", file=sys.stderr)
        lock.acquire()
    except OSError as error:
        raise InputError(
            f"{file.parent}: the cache cannot be written ({error.strerror}); name another folder in {variable}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def contains(file: Path, download: Download) -> bool:
    """Return whether the cached file is the published one; hash it only if it is new or was modified."""
    # An empty one is of a connection that was cut, where nothing is known of the file.
    if not file.is_file() or not file.stat().st_size:
        return False
    state = _state(file, download)
    if download.size in (0, state["size"]) and read_record(_record_path(file)) == state:
        return True
    if mismatch(file, download):
        return False
    remember(file, download)
    return True


def remember(file: Path, download: Download) -> None:
    """Record that a file passed its check."""
    # A cache of another user may be read-only: then the file is hashed each time.
    with suppress(OSError), paths.written_whole(_record_path(file)) as record:
        record.write_text(json.dumps(_state(file, download)) + "\n", encoding="utf-8")


def forget(file: Path, download: Download) -> None:
    """Have the next run fetch a file anew that turned out damaged, or hash it again where a checksum is published."""
    if not download.checksum[1]:
        file.unlink(missing_ok=True)
    _record_path(file).unlink(missing_ok=True)


def read_record(record: Path) -> dict[str, Any]:
    """Return a JSON object from a file; an empty one if the file is missing or damaged."""
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _record_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _state(file: Path, download: Download) -> dict[str, Any]:
    """Return what changes whenever the file or its published checksum changes."""
    status = file.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "checksum": ":".join(download.checksum)}
