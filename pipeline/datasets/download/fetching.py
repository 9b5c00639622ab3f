"""Bring published files into a cache of the user's own: gone on with where cut, checked, moved into place whole."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import platformdirs
from filelock import FileLock, Timeout
from tqdm import tqdm

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.decoding.space import check_room

if TYPE_CHECKING:
    from requests import Response, Session

CACHE_VARIABLE = "ORBWEAVER_CACHE"
STALLED_SECONDS = 30.0
TRIES = 5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
LONGEST_WAIT_SECONDS = 300.0
_AT_ONCE = 2**18
_DIGITS = {"sha256": 64, "md5": 32}
_OWN_COPY = "download it yourself and give archive: /path/to/it"


@dataclass(frozen=True)
class Download:
    """One published file.

    Attributes:
        name: what it is called in the cache, where every file needs a name of its own.
        urls: the addresses that have it, http or https, the preferred one first; none where it is on no server.
        size: bytes; 0 where not published.
        sha256: in hexadecimal digits; empty where not published.
        md5: the same, looked at only where there is no SHA-256.
    """

    name: str
    urls: tuple[str, ...]
    size: int = 0
    sha256: str = ""
    md5: str = ""

    def __post_init__(self) -> None:
        if not self.name or self.name == ".." or Path(self.name).name != self.name:
            raise ValueError(f"{self.name!r} is not a file name")
        for url in self.urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{self.name}: {url!r} is neither http nor https")
        for kind, digits in _DIGITS.items():
            value = getattr(self, kind)
            if value and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
                raise ValueError(f"{self.name}: {value!r} is no {kind} in {digits} small hexadecimal digits")

    @property
    def checksum(self) -> tuple[str, str]:
        """The kind and value of the strongest checksum that is published; two empty texts where there is none."""
        return next(((kind, getattr(self, kind)) for kind in _DIGITS if getattr(self, kind)), ("", ""))


class _RefusedError(Exception):
    """An address does not have the file, or another one; asking it again would not help."""


class _HitchError(Exception):
    """A try failed that may go well later: after `pause` seconds, where the server said so."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


def cache_folder() -> Path:
    """Where downloads are kept for all clones: $ORBWEAVER_CACHE, else below the user's cache folder.

    A relative one is below the clone's root, so that queue runs, which start elsewhere, agree on it.
    """
    given = os.environ.get(CACHE_VARIABLE)
    return (
        paths.root() / Path(given).expanduser() if given else platformdirs.user_cache_path("orbweaver", appauthor=False)
    )


def fetch(
    download: Download, *, cache: Path | None = None, timeout: float = STALLED_SECONDS, tries: int = TRIES
) -> Path:
    """Bring a file into the cache, or find it there.

    What was cut goes on from there, at the same address and only if the file there is still the same one. A file
    in the cache is checked each time by its size, and by its checksum when it is new or has been touched; one
    that fails is fetched anew. Processes that want the same file wait for the one that fetches it. Proxies are
    those of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).

    Args:
        download: the file.
        cache: the folder to keep it in; `cache_folder()` where none is given.
        timeout: seconds for a connection to be made, and for more bytes to come.
        tries: how often in a row an address may fail without giving more than it had, before the next is asked.

    Returns:
        The file's place in the cache.

    Raises:
        InputError: where no address gives the right file, saying what each of them did; where the disk has no
            room, what has come being kept; where the cache cannot be written.
    """
    place = (cache or cache_folder()) / download.name
    if _has(place, download):
        return place
    _make(place.parent)
    with _alone(place):
        # Another process may have brought it meanwhile.
        if not _has(place, download):
            _bring(download, place, timeout=timeout, tries=tries)
    return place


def local(download: Download, given: Path) -> Path:
    """Check the user's own copy of a file, which is neither moved nor copied.

    Raises:
        InputError: where it is relative, no file, or not the published one by its size or checksum.
    """
    if not given.is_absolute():
        raise InputError(
            f"archive: '{given}' is relative, which queued and --temp runs would not find; "
            f"give an absolute path such as {paths.root() / given.expanduser()}"
        )
    if not given.is_file():
        fault = "is not a file" if given.exists() else "does not exist"
        raise InputError(f"archive: '{given}' {fault}; give the downloaded file ({download.name})")
    if fault := _fault(given, download):
        raise InputError(f"archive: '{given}' is not {download.name} as published: {fault}; download it again")
    return given


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: the cache cannot be made ({error.strerror}); name another folder in {CACHE_VARIABLE}"
        ) from None


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    lock = FileLock(place.with_name(f".{place.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{place.name}: another process is fetching it; waiting for that", file=sys.stderr)
        lock.acquire()
    except OSError as error:
        raise InputError(
            f"{place.parent}: the cache cannot be written ({error.strerror}); name another folder in {CACHE_VARIABLE}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _fault(file: Path, download: Download) -> str:
    """What makes a file another than the published one; nothing where it is the same as far as is published."""
    size = file.stat().st_size
    if download.size and size != download.size:
        return f"{size:,} bytes in place of {download.size:,}"
    kind, expected = download.checksum
    found = _digest(file, kind) if expected else ""
    return f"its {kind} is {found} in place of {expected}" if found != expected else ""


def _digest(file: Path, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    bar = tqdm(total=file.stat().st_size, desc=f"check {file.name}", unit="B", unit_scale=True, disable=None)
    with file.open("rb") as stream, bar:
        while piece := stream.read(_AT_ONCE):
            digest.update(piece)
            bar.update(len(piece))
    return digest.hexdigest()


def _has(place: Path, download: Download) -> bool:
    """Whether the right file is in the cache; its checksum is taken once and remembered beside it."""
    if not place.is_file():
        return False
    note = _note(place, download)
    if download.size in (0, note["size"]) and _read(_record(place)) == note:
        return True
    if _fault(place, download):
        return False
    _remember(place, download)
    return True


def _record(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


def _note(place: Path, download: Download) -> dict[str, Any]:
    """What is remembered of a file that was right: another note where the file or what is published changed."""
    now = place.stat()
    return {"size": now.st_size, "mtime_ns": now.st_mtime_ns, "checksum": ":".join(download.checksum)}


def _remember(place: Path, download: Download) -> None:
    # Somebody else's cache may be read and not written; then the checksum is taken each time.
    with suppress(OSError), paths.written_whole(_record(place)) as record:
        record.write_text(json.dumps(_note(place, download)) + "\n", encoding="utf-8")


def _read(record: Path) -> dict[str, Any]:
    """A JSON record; an empty one where there is none or it is damaged."""
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


class _Origin(NamedTuple):
    """Where bytes come from.

    Attributes:
        url: the address.
        version: what tells this version of the file there from others; empty where the server does not say.
        total: how many bytes there are in all; 0 where not known.
    """

    url: str = ""
    version: str = ""
    total: int = 0


class _Part:
    """What has come of a file so far, beside its final place, and from where."""

    def __init__(self, place: Path) -> None:
        self.file = place.with_name(f"{place.name}.part")
        self._record = place.with_name(f"{place.name}.part.json")
        try:
            self.origin = _Origin(**_read(self._record))
        except TypeError:
            self.origin = _Origin()

    @property
    def size(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def is_whole(self, url: str) -> bool:
        return self.origin.url == url and 0 < self.origin.total == self.size

    def goes_on(self, url: str) -> bool:
        """Whether the rest can be asked for without the danger of joining two versions of the file."""
        return self.size > 0 and self.origin.url == url and bool(self.origin.version)

    def begin(self, origin: _Origin) -> None:
        """Forget what has come. The note is written before any byte, so that bytes never have another's note."""
        self.discard()
        self.origin = origin
        self._record.write_text(json.dumps(origin._asdict()) + "\n", encoding="utf-8")
        self.file.touch()

    def discard(self) -> None:
        self.file.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)
        self.origin = _Origin()

    def move_to(self, place: Path) -> None:
        self.file.replace(place)
        self._record.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Job:
    """What all tries for one file have in common."""

    download: Download
    part: _Part
    session: "Session"
    bar: "tqdm[Any]"
    timeout: float
    tries: int


def _bring(download: Download, place: Path, *, timeout: float, tries: int) -> None:
    # Takes a third of a second, which checking parameters has not.
    from requests import Session

    part = _Part(place)
    told = []
    bar = tqdm(desc=download.name, unit="B", unit_scale=True, disable=None)
    with Session() as session, bar:
        job = _Job(download, part, session, bar, timeout, tries)
        # First where the part came from, which another address would start anew.
        for url in sorted(download.urls, key=lambda url: url != part.origin.url):
            try:
                _from(url, job)
            except _RefusedError as refusal:
                told.append(f"{url}: {refusal}")
                continue
            part.move_to(place)
            _remember(place, download)
            return
    raise InputError(f"{download.name}: {'; '.join(told) or 'no server is known to have it'}; {_OWN_COPY}")


def _from(url: str, job: _Job) -> None:
    """Get the file from one address and check it; a wrong one is deleted."""
    # What an earlier run left may have suffered since, with the machine that it ran on.
    goes = 2 if job.part.goes_on(url) else 1
    for _ in range(goes):
        _patiently(url, job)
        fault = _fault(job.part.file, job.download)
        if not fault:
            return
        job.part.discard()
    raise _RefusedError(f"{fault}; what came was deleted")


def _patiently(url: str, job: _Job) -> None:
    """Ask one address until all has come."""
    most, failures = job.part.size, 0
    while not job.part.is_whole(url):
        try:
            _receive(url, job)
            return
        except _HitchError as hitch:
            failures = failures + 1 if job.part.size <= most else 1
            most = max(most, job.part.size)
            pause = _pause(hitch, failures)
            if pause > LONGEST_WAIT_SECONDS:
                raise _RefusedError(f"{hitch}, and not to be asked for {pause:,.0f} s") from None
            if failures >= job.tries:
                raise _RefusedError(f"{hitch}, {failures} {'tries' if failures > 1 else 'try'}") from None
            job.bar.set_postfix_str(f"{hitch}; again in {pause:.0f} s")
            sleep(pause)


def _pause(hitch: _HitchError, failures: int) -> float:
    if hitch.pause is not None:
        return hitch.pause
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (failures - 1), LONGEST_PAUSE_SECONDS)


def _receive(url: str, job: _Job) -> None:
    """Ask once and write what comes behind what has come."""
    from requests import exceptions as asking
    from urllib3 import exceptions as reading

    # Servers that pack on the fly, or call a .tgz a packed .tar, would give other bytes than those published.
    headers = {"Accept-Encoding": "identity"}
    if job.part.goes_on(url):
        headers |= {"Range": f"bytes={job.part.size}-", "If-Range": job.part.origin.version}
    try:
        with job.session.get(url, headers=headers, timeout=job.timeout, stream=True) as response:
            _open(url, response, job)
            _append(response, job)
    except asking.Timeout:
        raise _HitchError(f"no answer within {job.timeout:g} s") from None
    except (asking.ConnectionError, asking.ChunkedEncodingError, asking.ContentDecodingError) as error:
        raise _HitchError(_innermost(error)) from None
    except asking.RequestException as error:
        raise _RefusedError(str(error)) from None
    except reading.ReadTimeoutError:
        raise _HitchError(f"stalled for {job.timeout:g} s at {_progress(job)}") from None
    except reading.HTTPError:
        raise _HitchError(f"cut at {_progress(job)}") from None


def _progress(job: _Job) -> str:
    total = job.part.origin.total
    return f"{job.part.size:,}" + (f" of {total:,}" if total else "") + " bytes"


def _innermost(error: Exception) -> str:
    """What the system or TLS said, without the layers of libraries around it.

    >>> _innermost(ConnectionError("<urllib3.connection object at 0x7f>: Failed: [Errno 111] Connection refused"))
    '[Errno 111] Connection refused'
    """
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", inner)).rpartition(": ")[2]


def _open(url: str, response: "Response", job: _Job) -> None:
    """Take an answer's head: begin anew, go on, or say why neither is possible."""
    _check_status(response, job)
    if response.status_code == 206:
        _check_goes_on(url, response, job.part)
    else:
        # Where a checksum is published, that decides.
        if not job.download.checksum[1] and response.headers.get("Content-Type", "").startswith("text/html"):
            raise _RefusedError("a web page in place of the file")
        job.part.begin(_Origin(url, _version(response), _total(response, job)))
    size, total = job.part.size, job.part.origin.total
    check_room(
        job.part.file.parent, max(total - size, 0), way_out=f"free some, or name another folder in {CACHE_VARIABLE}"
    )
    job.bar.total, job.bar.n = total or None, size
    job.bar.set_postfix_str("")


def _check_status(response: "Response", job: _Job) -> None:
    code, said = response.status_code, f"{response.status_code} {response.reason}"
    if code in (200, 206):
        return
    if code == 416:
        # There is no more than what we have, which is not all: it is another file now.
        job.part.discard()
    if code in (408, 416, 429) or code >= 500:
        raise _HitchError(said, _retry_after(response))
    raise _RefusedError(said)


def _retry_after(response: "Response") -> float | None:
    """Seconds to stay away; none where the server does not say, or says it in no known form."""
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    try:
        return float(Retry().parse_retry_after(response.headers["Retry-After"]))
    except (KeyError, ValueError, OverflowError, InvalidHeader):
        return None


def _total(response: "Response", job: _Job) -> int:
    """How many bytes come in all, as published or as the server says; 0 where neither is known."""
    said, published = response.headers.get("Content-Length", ""), job.download.size
    if not said.isdecimal():
        return published
    if published and int(said) != published:
        raise _RefusedError(f"{int(said):,} bytes in place of {published:,}")
    return int(said)


def _version(response: "Response") -> str:
    """What tells this version of the file from others, byte for byte, which a weak ETag does not."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _check_goes_on(url: str, response: "Response", part: _Part) -> None:
    """Check that a partial answer begins where ours ends and is of the same version; else begin anew, next time."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    same_place = found is not None and part.goes_on(url) and int(found[1]) == part.size
    same_total = found is not None and (found[2] == "*" or part.origin.total in (0, int(found[2])))
    # Some servers give the rest of another version, whatever they were told of ours.
    same_version = _version(response) in ("", part.origin.version)
    if not (same_place and same_total and same_version):
        part.discard()
        raise _HitchError("the file changed on the server")


def _append(response: "Response", job: _Job) -> None:
    left = job.part.origin.total - job.part.size if job.part.origin.total else None
    try:
        with job.part.file.open("ab") as file:
            while piece := response.raw.read1(_AT_ONCE, decode_content=False):
                if left is not None:
                    left = _less(left, piece, job)
                file.write(piece)
                job.bar.update(len(piece))
    except OSError as error:
        raise InputError(
            f"{job.part.file}: {error.strerror} at {_progress(job)}; free some, or name another folder in "
            f"{CACHE_VARIABLE}; what has come is kept, and the next run goes on from there"
        ) from None
    if left:
        raise _HitchError(f"cut at {_progress(job)}")


def _less(left: int, piece: bytes, job: _Job) -> int:
    if len(piece) > left:
        told = f"more than {job.part.origin.total:,} bytes"
        job.part.discard()
        raise _RefusedError(told)
    return left - len(piece)
