"""Files of the user's own that DVC cannot hash: it reads every file of a folder before the first stage that has it."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import InputError
from pipeline.datasets.collect.findings import Finding
from pipeline.datasets.collect.listing import escaped, is_passed_over, readable

_LINKS = {errno.ENOENT: "is a link to nothing", errno.ELOOP: "is a link that leads back to itself"}
_KINDS = {stat.S_IFIFO: "is a pipe", stat.S_IFSOCK: "is a socket"}
_DELETE = "delete it or move it out of the folder"
# Of the process as it acts, where the system can tell: a service may have changed its user.
_AS_IT_ACTS = os.access in os.supports_effective_ids


class Fault(NamedTuple):
    """A file or folder, why DVC stops, hangs or passes over photographs at it, and the way out."""

    place: Path
    reason: str
    way_out: str


def faults(place: Path) -> Iterator[Fault]:
    """Yield what DVC cannot hash of a folder or file, without opening a file.

    DVC also reads files that `collect` passes over, follows links to files and none to folders, and takes a folder
    that it may not list for an empty one: such a folder is a fault unless `collect` passes over it.
    """
    if not place.is_dir():
        if os.path.lexists(place):
            yield from _of_file(place)
        return
    pending = [(str(place), False)]
    while pending:
        folder, passed_over = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if not passed_over:
                yield Fault(Path(folder), f"cannot be read: {error.strerror}", readable(Path(folder)))
            continue
        if entries and not _allows(folder, os.X_OK):
            yield Fault(Path(folder), "cannot be entered: Permission denied", readable(Path(folder)))
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, passed_over or is_passed_over(entry.name)))
            elif not (entry.is_file(follow_symlinks=False) and _allows(entry.path, os.R_OK)):
                yield from _of_file(Path(entry.path))


def check(place: Path) -> None:
    """Refuse a folder or file that DVC cannot hash.

    Raises:
        InputError: naming the first file, what it is, and the way out.
    """
    of_place = list(faults(place))
    if of_place:
        more = f" (and {len(of_place) - 1:,} more such)" if len(of_place) > 1 else ""
        raise InputError(f"{line(of_place[0], place)}{more}")


def finding(several: Sequence[Fault]) -> Finding:
    """Return what DVC cannot hash as one finding, with the way out of each."""
    files = [f"{escaped(str(fault.place))}: {fault.reason}; {fault.way_out}" for fault in several]
    return Finding(
        "files that DVC cannot read", files, "DVC reads every file of the folder; do what each line says", True
    )


def line(fault: Fault, place: Path) -> str:
    """Return a fault of a folder or file in a line."""
    of_folder = "" if fault.place == place else f", and DVC reads every file of {escaped(str(place))}"
    return f"{escaped(str(fault.place))}: {fault.reason}{of_folder}: {fault.way_out}"


def _of_file(file: Path) -> Iterator[Fault]:
    try:
        mode = file.stat().st_mode
    except OSError as error:
        yield Fault(file, _LINKS.get(error.errno or 0, f"cannot be read: {error.strerror}"), _DELETE)
        return
    if stat.S_ISDIR(mode):
        return
    if not stat.S_ISREG(mode):
        yield Fault(file, _KINDS.get(stat.S_IFMT(mode), "is a device"), _DELETE)
    elif not _allows(str(file), os.R_OK):
        yield Fault(file, "cannot be read: Permission denied", readable(file))


def _allows(place: str, right: int) -> bool:
    return os.access(place, right, effective_ids=_AS_IT_ACTS)
