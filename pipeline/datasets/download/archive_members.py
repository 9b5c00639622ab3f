"""The members of a zip, tar or tar.gz, read in one pass within a limit on the bytes that come out."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

from pipeline.core.errors import InputError
from pipeline.core.space import check_room

# Archives of a few tiny files are mostly padding, which compresses well beyond any ratio and is harmless.
ALWAYS_ALLOWED = 16 * 2**20
AS_PUBLISHED = "give the archive as it is published"
_READ_BYTES = 2**18
# A tar header may claim gigabytes for a name, which tarfile would read into memory.
_LARGEST_HEADER = 2**20
_ZIP_MAGIC, _GZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06"), b"\x1f\x8b"
_TAR_END = bytes(tarfile.BLOCKSIZE)
_ENCRYPTED = 0x1
_ZIP_FILE_TYPES = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
_TAR_FILE_TYPES = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.BLKTYPE: "a device",
    tarfile.CHRTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class DamagedError(InputError):
    """An archive that is not whole, or none at all.

    Attributes:
        fault: what is wrong with it; the message adds the way out of those who have brought it themselves.
    """

    def __init__(self, archive: Path, fault: str, way_out: str) -> None:
        super().__init__(f"{archive}: {fault}; {way_out}")
        self.fault = fault


class Member(NamedTuple):
    """One entry of an archive.

    Attributes:
        name: as stored in the archive.
        fault: why its type cannot be unpacked; empty for plain files and folders.
        is_file: whether it has content.
        chunks: reads the content; only before the next member is read.
    """

    name: str
    fault: str
    is_file: bool
    chunks: Callable[[], Iterator[bytes]]


class Allowance:
    """A limit on the bytes that come out of an archive, counted as they come.

    Args:
        archive: the file, whose own size the ratio multiplies.
        largest: bytes.
        ratio: multiple of the archive's size; below `ALWAYS_ALLOWED` bytes it does not apply.
    """

    def __init__(self, archive: Path, *, largest: int, ratio: int) -> None:
        packed = archive.stat().st_size
        by_ratio = max(ratio * packed, ALWAYS_ALLOWED)
        self._archive, self._left = archive, min(largest, by_ratio)
        self._limit = f"{largest:,} bytes" if largest <= by_ratio else f"{by_ratio:,} bytes from {packed:,}"

    def check(self, size: int) -> None:
        """Raise InputError if so many more bytes exceed the limit."""
        if size > self._left:
            raise InputError(
                f"{self._archive}: unpacks to more than {self._limit}, which no set of images does; nothing was kept; "
                "download it again from where it is published"
            )

    def spend(self, size: int) -> None:
        """Count bytes; raise InputError if they exceed the limit."""
        self.check(size)
        self._left -= size


def read_members(archive: Path, stream: IO[bytes], allowance: Allowance, folder: Path) -> Iterator[Member]:
    """Yield the members of an archive in its order.

    Args:
        archive: the file, for messages.
        stream: its bytes.
        allowance: the limit on what comes out.
        folder: where it is unpacked; its disk must have room for the sizes that the archive declares.

    Raises:
        InputError: if it is no archive of a known kind, declares too much, or the disk has no room.
    """
    magic = stream.read(4)
    stream.seek(0)
    if magic in _ZIP_MAGIC:
        with zipfile.ZipFile(stream) as opened:
            declared = sum(info.file_size for info in opened.infolist())
            allowance.check(declared)
            check_room(folder, declared, way_out="free some")
            yield from _zip_members(opened, allowance)
        return
    # A tar has no list of sizes: its own size is the best lower bound.
    check_room(folder, archive.stat().st_size, way_out="free some")
    is_gzip = magic[:2] == _GZIP_MAGIC
    unzipped = cast("IO[bytes]", gzip.GzipFile(fileobj=stream, mode="rb")) if is_gzip else stream
    yield from _tar_members(archive, _ForwardStream(unzipped, allowance))


def _zip_members(opened: zipfile.ZipFile, allowance: Allowance) -> Iterator[Member]:
    for info in opened.infolist():
        # `filename` is cut at a NUL, which could hide a path behind it.
        name = info.orig_filename
        yield Member(name, _zip_fault(info), not name.endswith("/"), partial(_zip_chunks, opened, info, allowance))


def _zip_fault(info: zipfile.ZipInfo) -> str:
    if file_type := _ZIP_FILE_TYPES.get(stat.S_IFMT(info.external_attr >> 16)):
        return f"is {file_type}"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed in a way that is not read here (method {info.compress_type})"
    return ""


def _zip_chunks(opened: zipfile.ZipFile, info: zipfile.ZipInfo, allowance: Allowance) -> Iterator[bytes]:
    missing = info.file_size
    with opened.open(info) as content:
        while chunk := content.read(_READ_BYTES):
            allowance.spend(len(chunk))
            missing -= len(chunk)
            yield chunk
    if missing:
        raise EOFError(f"{missing:,} bytes of {info.orig_filename!a} are missing")


class _ForwardStream(io.BufferedIOBase):
    """A stream that tarfile reads once, front to back, within an allowance."""

    def __init__(self, stream: IO[bytes], allowance: Allowance) -> None:
        self._stream, self._allowance, self._position = stream, allowance, 0
        self.last = b""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self._stream.read(size)
        self._position += len(self.last)
        self._allowance.spend(len(self.last))
        return self.last

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0, /) -> int:
        if whence or position < self._position:
            raise tarfile.ReadError("members that overlap")
        while self._position < position and self.read(min(_READ_BYTES, position - self._position)):
            pass
        return self._position


def _tar_members(archive: Path, stream: _ForwardStream) -> Iterator[Member]:
    try:
        opened = tarfile.TarFile(fileobj=stream, encoding="utf-8", errors="surrogateescape")
    except tarfile.ReadError:
        raise DamagedError(archive, "not a zip, tar or tar.gz file", AS_PUBLISHED) from None
    while info := opened.next():
        # TarFile remembers every header: a million members would fill the memory.
        opened.members.clear()  # type: ignore[attr-defined]
        yield Member(_text(info.name), _tar_fault(info), info.isreg(), partial(_tar_chunks, stream, info))
    # TarFile takes any block that is no header for the end; only a block of zeros is one.
    if stream.last != _TAR_END:
        raise EOFError("its end is missing")
    # Read on to the checksum of a tar.gz, which follows the last block.
    while stream.read(_READ_BYTES):
        pass


def _tar_fault(info: tarfile.TarInfo) -> str:
    if info.issparse():
        return "is a sparse file"
    if info.isreg() or info.isdir():
        return ""
    return f"is {_TAR_FILE_TYPES.get(info.type, 'of an unknown kind')}"


def _tar_chunks(stream: _ForwardStream, info: tarfile.TarInfo) -> Iterator[bytes]:
    stream.seek(info.offset_data)
    missing = info.size
    while missing:
        chunk = stream.read(min(missing, _READ_BYTES))
        if not chunk:
            raise EOFError(f"{missing:,} bytes of {info.name!a} are missing")
        missing -= len(chunk)
        yield chunk


def _text(name: str) -> str:
    """Return a tar's name as text: UTF-8, or Latin-1 where it is not valid UTF-8, as in old archives."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("latin-1")
    return name
