"""Unpack archives that nobody vouches for: zip, tar and tar.gz, told apart by their content.

The standard library reads; what is written are regular files alone, one by one, here. So the links, devices, owners
and modes of an archive, and what can be done with them, have no way to the disk.
"""

import gzip
import io
import os
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import IO, NamedTuple, TypeVar, cast

from tqdm import tqdm

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.decoding.space import check_room

# The sets of the papers hold a few gigabytes; photographs hardly pack, lists and drawings up to some twenty times.
LARGEST = 64 * 10**9
RATIO = 100
# A few tiny files are mostly padding, which packs well and harms nobody.
ALWAYS_ALLOWED = 16 * 2**20
_AT_ONCE = 2**18
_LONGEST_NAME = 1000
# A tar may claim gigabytes for a mere name, which would be read into memory.
_LARGEST_HEADER = 2**20
_ZIP_STARTS, _GZIP_START = (b"PK\x03\x04", b"PK\x05\x06"), b"\x1f\x8b"
_TAR_END = bytes(tarfile.BLOCKSIZE)
_ENCRYPTED = 0x1
# What the standard library has been seen to raise over damaged archives.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
    RecursionError,
    NotImplementedError,
)
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
_TAR_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.BLKTYPE: "a device",
    tarfile.CHRTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}

ReadT = TypeVar("ReadT")


class _Member(NamedTuple):
    """One entry of an archive.

    Attributes:
        name: as the archive has it.
        fault: why it cannot be unpacked, whatever its name; empty for files and folders.
        is_file: whether it has content.
        pieces: gives the content; only while this is the newest member.
    """

    name: str
    fault: str
    is_file: bool
    pieces: Callable[[], Iterator[bytes]]


class _Allowance:
    """How many bytes may still come out of an archive, counted as they come."""

    def __init__(self, archive: Path, *, largest: int, ratio: int) -> None:
        packed = archive.stat().st_size
        by_ratio = max(ratio * packed, ALWAYS_ALLOWED)
        self._archive, self._left = archive, min(largest, by_ratio)
        self._limit = f"{largest:,} bytes" if largest <= by_ratio else f"{by_ratio:,} bytes from {packed:,}"

    def check(self, size: int) -> None:
        if size > self._left:
            raise InputError(
                f"{self._archive}: unpacks to more than {self._limit}, which no set of images does; nothing was kept; "
                "fetch it again from where it is published"
            )

    def spend(self, size: int) -> None:
        self.check(size)
        self._left -= size


class _Forward(io.BufferedIOBase):
    """A stream that is read once, from its beginning to its end, within an allowance."""

    def __init__(self, stream: IO[bytes], allowance: _Allowance) -> None:
        self._stream, self._allowance, self._place = stream, allowance, 0
        self.last = b""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self._stream.read(size)
        self._place += len(self.last)
        self._allowance.spend(len(self.last))
        return self.last

    def tell(self) -> int:
        return self._place

    def seek(self, place: int, whence: int = 0, /) -> int:
        if whence or place < self._place:
            raise tarfile.ReadError("members that overlap")
        while self._place < place and self.read(min(_AT_ONCE, place - self._place)):
            pass
        return self._place


class _Names:
    """The names that are taken, so that no file system whatever joins two of them."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, bool]] = {}

    def take(self, path: str, *, is_file: bool) -> str:
        """Take a file's or folder's name and those of the folders above it; says why it cannot be."""
        end = path.find("/")
        while end >= 0:
            if fault := self._take(path[:end], is_file=False):
                return fault
            end = path.find("/", end + 1)
        return self._take(path, is_file=is_file)

    def _take(self, path: str, *, is_file: bool) -> str:
        key = _folded(path)
        if key not in self._taken:
            self._taken[key] = path, is_file
            return ""
        other, other_is_file = self._taken[key]
        if other != path:
            return f"differs from {other!a} only in case or Unicode form"
        if is_file and other_is_file:
            return "comes twice"
        return f"{path!a} is both a file and a folder" if is_file or other_is_file else ""


def _folded(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def unpack(
    archive: Path,
    target: Path,
    *,
    wanted: Callable[[str], bool] | None = None,
    largest: int = LARGEST,
    ratio: int = RATIO,
) -> list[str]:
    """Unpack the files of an archive into a folder, all of them or nothing.

    Each file is written as a new one with plain permissions; folders come with the files in them. A member that
    is not wanted is passed over, whatever it is. Names in a tar that are not UTF-8 are read as Latin-1.

    Args:
        archive: a zip (stored or deflated), tar or tar.gz, whatever it is called.
        target: the folder to make; one of that name is replaced.
        wanted: is told a member's path in the archive, with slashes, and says whether to unpack it; all without.
        largest: bytes that may come out of the archive.
        ratio: how many times its own bytes may come out of it, beyond `ALWAYS_ALLOWED`; counted while reading,
            whatever its headers say.

    Returns:
        The paths of the files below the target, sorted.

    Raises:
        InputError: for what is no such archive, is damaged or cut short, has a wanted member that is no plain
            file or folder, is encrypted, leads out of the target or takes a name twice (also by case or Unicode
            form); where too much comes out, or no file; where the disk has no room. Nothing is left then.
    """
    allowance = _Allowance(archive, largest=largest, ratio=ratio)
    size = archive.stat().st_size
    with (
        archive.open("rb") as file,
        tqdm.wrapattr(file, "read", total=size, desc=f"unpack {archive.name}", disable=None) as watched,
        paths.written_whole(target) as folder,
    ):
        folder.mkdir()
        members = _members(archive, cast("IO[bytes]", watched), allowance, folder)
        names = _write(archive, _sound(archive, members), folder, wanted)
    return sorted(names)


def _sound(archive: Path, read: Iterable[ReadT]) -> Iterator[ReadT]:
    """Pass on what is read from an archive, and tell its damage in a line; what the reader does is not its damage."""
    try:
        yield from read
    except _DAMAGE as error:
        told = str(error) or "it ends too early"
        raise InputError(f"{archive}: damaged or cut short ({told}); nothing was kept; fetch it again") from None


def _write(archive: Path, members: Iterator[_Member], folder: Path, wanted: Callable[[str], bool] | None) -> list[str]:
    names, written = _Names(), []
    for member in members:
        path = _path(member.name)
        if wanted and not wanted(path):
            continue
        if fault := member.fault or _name_fault(member.name) or names.take(path, is_file=member.is_file):
            raise InputError(
                f"{archive}: {member.name[:_LONGEST_NAME]!a} {fault}; nothing was kept; fetch it again from where it "
                "is published, or unpack it by hand if you trust it"
            )
        if member.is_file:
            _write_file(folder / path, _sound(archive, member.pieces()))
            written.append(path)
    if not written:
        raise InputError(f"{archive}: none of the files looked for are in it; give the archive that was published")
    return written


def _write_file(place: Path, pieces: Iterator[bytes]) -> None:
    """Write a new file that is neither executable nor anybody else's to write, whatever the archive says."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, "xb", opener=_plainly) as file:
            file.writelines(pieces)
    except OSError as error:
        raise InputError(f"{place}: {error.strerror or error}; nothing was kept") from None


def _plainly(path: str, flags: int) -> int:
    return os.open(path, flags, 0o644)


def _path(name: str) -> str:
    """A member's path as it would be written: without what means nothing in it."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _name_fault(name: str) -> str:
    """Why a name cannot be written, or not on every system.

    >>> _name_fault("a/../../b")
    'leads out of the archive'
    >>> _name_fault("a/b..c")
    ''
    """
    if len(name) > _LONGEST_NAME:
        return f"begins a name of {len(name):,} characters"
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "has control characters in its name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/") or PureWindowsPath(name).drive:
        return "is an absolute path"
    return "leads out of the archive" if ".." in name.split("/") else ""


def _members(archive: Path, stream: IO[bytes], allowance: _Allowance, folder: Path) -> Iterator[_Member]:
    """What is in an archive, in its order, once it is clear that the disk has room for what it says it holds."""
    start = stream.read(4)
    stream.seek(0)
    if start in _ZIP_STARTS:
        with zipfile.ZipFile(stream) as opened:
            claimed = sum(info.file_size for info in opened.infolist())
            allowance.check(claimed)
            check_room(folder, claimed, way_out="free some")
            yield from _zip_members(opened, allowance)
        return
    check_room(folder, archive.stat().st_size, way_out="free some")
    unpacked = cast("IO[bytes]", gzip.GzipFile(fileobj=stream, mode="rb")) if start[:2] == _GZIP_START else stream
    yield from _tar_members(archive, _Forward(unpacked, allowance))


def _zip_members(opened: zipfile.ZipFile, allowance: _Allowance) -> Iterator[_Member]:
    for info in opened.infolist():
        # The other name ends at a NUL.
        name = info.orig_filename
        yield _Member(name, _zip_fault(info), not name.endswith("/"), partial(_zip_pieces, opened, info, allowance))


def _zip_fault(info: zipfile.ZipInfo) -> str:
    if kind := _KINDS.get(stat.S_IFMT(info.external_attr >> 16)):
        return f"is {kind}"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed in a way that is not read here (method {info.compress_type})"
    return ""


def _zip_pieces(opened: zipfile.ZipFile, info: zipfile.ZipInfo, allowance: _Allowance) -> Iterator[bytes]:
    left = info.file_size
    with opened.open(info) as content:
        while piece := content.read(_AT_ONCE):
            allowance.spend(len(piece))
            left -= len(piece)
            yield piece
    if left:
        raise EOFError(f"{left:,} bytes of {info.orig_filename!a} are missing")


def _tar_members(archive: Path, reader: _Forward) -> Iterator[_Member]:
    try:
        opened = tarfile.TarFile(fileobj=reader, encoding="utf-8", errors="surrogateescape")
    except tarfile.ReadError:
        raise InputError(f"{archive}: neither a zip nor a tar nor a tar.gz; give the file that was published") from None
    while info := opened.next():
        # It would keep a million of them.
        opened.members.clear()  # type: ignore[attr-defined]
        yield _Member(_text(info.name), _tar_fault(info), info.isreg(), partial(_tar_pieces, reader, info))
    # What cannot be a header ends a tar for the library, wherever it is.
    if reader.last != _TAR_END:
        raise EOFError("its end is missing")
    # Behind all that is the checksum of a tar.gz.
    while reader.read(_AT_ONCE):
        pass


def _tar_fault(info: tarfile.TarInfo) -> str:
    if info.issparse():
        return "is a sparse file"
    if info.isreg() or info.isdir():
        return ""
    return f"is {_TAR_KINDS.get(info.type, 'of an unknown kind')}"


def _tar_pieces(reader: _Forward, info: tarfile.TarInfo) -> Iterator[bytes]:
    reader.seek(info.offset_data)
    left = info.size
    while left:
        piece = reader.read(min(left, _AT_ONCE))
        if not piece:
            raise EOFError(f"{left:,} bytes of {info.name!a} are missing")
        left -= len(piece)
        yield piece


def _text(name: str) -> str:
    """A tar's name as text: old ones are in the alphabet of the machine that made them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("latin-1")
    return name
