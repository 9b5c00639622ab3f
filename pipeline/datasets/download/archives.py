"""Safe unpacking of untrusted archives: zip, tar and tar.gz, recognized by their content.

The standard library only reads; this package writes regular files alone, one by one. So links, devices, owners and
modes of an archive, and attacks by them, cannot reach the disk.
"""

import gzip
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar, cast

from tqdm import tqdm

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.download.archive_members import AS_PUBLISHED, Allowance, DamagedError, Member, read_members
from pipeline.datasets.download.member_names import LONGEST_NAME, ReservedNames, name_fault, path_of

# The papers' sets hold a few gigabytes. Photographs hardly compress; lists and drawings up to some twenty times.
LARGEST = 64 * 10**9
RATIO = 100
# Exceptions of the standard library that damaged archives were seen to cause.
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

ReadT = TypeVar("ReadT")


def unpack(
    archive: Path,
    target: Path,
    *,
    wanted: Callable[[str], bool] | None = None,
    largest: int = LARGEST,
    ratio: int = RATIO,
) -> list[str]:
    """Unpack the files of an archive into a folder, all of them or nothing.

    Files are created anew with plain permissions; folders come with the files in them. A member that is not wanted
    is skipped, whatever its type. Names in a tar that are not UTF-8 are read as Latin-1.

    Args:
        archive: a zip (stored or deflated), tar or tar.gz, of any file name.
        target: the folder to create; an existing one is replaced.
        wanted: takes a member's path in the archive, with slashes, and returns whether to unpack it; None for all.
        largest: bytes that may come out of the archive.
        ratio: multiple of the archive's own size that may come out, beyond `ALWAYS_ALLOWED`; counted while reading,
            whatever its headers declare.

    Returns:
        The paths of the files below the target, sorted.

    Raises:
        DamagedError: if the file is no such archive, or damaged or cut short, or has no wanted file.
        InputError: if a wanted member is no plain file or
            folder, is encrypted, leads out of the target or repeats a name (also by case or Unicode form); if too
            much comes out; if the disk has no room. Nothing is left in both cases.
    """
    allowance = Allowance(archive, largest=largest, ratio=ratio)
    size = archive.stat().st_size
    with (
        archive.open("rb") as file,
        tqdm.wrapattr(file, "read", total=size, desc=f"unpack {archive.name}", disable=None) as stream,
        paths.written_whole(target) as folder,
    ):
        folder.mkdir()
        members = read_members(archive, cast("IO[bytes]", stream), allowance, folder)
        names = _write_members(archive, _report_damage(archive, members), folder, wanted)
    return sorted(names)


def _report_damage(archive: Path, items: Iterable[ReadT]) -> Iterator[ReadT]:
    """Yield what is read from an archive; raise damage as InputError, but not errors of the code that consumes it."""
    try:
        yield from items
    except _DAMAGE as error:
        reason = str(error) or "it ends too early"
        fault, way_out = f"damaged or cut short ({reason})", "nothing was kept; download it again"
        raise DamagedError(archive, fault, way_out) from None


def _write_members(
    archive: Path, members: Iterator[Member], folder: Path, wanted: Callable[[str], bool] | None
) -> list[str]:
    names, written = ReservedNames(), []
    for member in members:
        path = path_of(member.name)
        if wanted and not wanted(path):
            continue
        if fault := member.fault or name_fault(member.name) or names.reserve(path, is_file=member.is_file):
            raise InputError(
                f"{archive}: {member.name[:LONGEST_NAME]!a} {fault}; nothing was kept; download it again from where "
                "it is published, or unpack it by hand if you trust it"
            )
        if member.is_file:
            _write_file(folder / path, _report_damage(archive, member.chunks()))
            written.append(path)
    if not written:
        raise DamagedError(archive, "has none of the files of the set", AS_PUBLISHED)
    return written


def _write_file(file: Path, chunks: Iterator[bytes]) -> None:
    """Write a new file that is not executable and writable by its owner alone, whatever the archive says."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "xb", opener=_open_plain) as stream:
            stream.writelines(chunks)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}; nothing was kept; the same command tries again") from None


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags, 0o644)
