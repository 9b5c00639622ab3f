"""Errors of the user: one line that names the thing, the value and the way out."""

import errno
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from pipeline.core import closed_streams, full_memory, shortening
from pipeline.core.stopping import INTERRUPTED, SIGNALS, StoppedError, insisting

# A disk, or what a user may have of it, is full.
FULL = (errno.ENOSPC, errno.EDQUOT)
LARGER = ": larger than a file may be here; `ulimit -f` says the limit of the shell, and `ulimit -f unlimited` lifts it"
# Bytes that no write of ours takes: where as many are free, a quota or the number of files has ended it.
PLENTY = 20 * 2**30
# Names of Python's module `tempfile`.
MADE = re.compile(r"(?:tmp|orbweaver-)[a-z0-9_]{8}")
# The way out for a file of the working tree that cannot be used.
AGAIN = "`dvc repro` makes it again"
INTERRUPTION = "interrupted; `dvc repro` goes on from the last finished stage"
# Programs that are none of its stages.
OUTSIDE = {"bundle", "orbweaver"}
# The attribute of an error that ends a program with another status than 1.
_STATUS = "exit_status"


class InputError(Exception):
    """An input that cannot be used; the message is one line for the user."""


def line_of(error: OSError) -> str:
    """Return an error of the operating system in one line; of a full disk with its place, its room and the way out."""
    error = _first(error)
    if error.errno in FULL and not _named(error) and _output_is_full():
        return f"standard output: {error.strerror or error}: make room where it goes, and run the same command again"
    place = _full_place(error) if error.errno in FULL else error.filename
    where = f"{place}: " if place else ""
    line = shortening.line(f"{where}{error.strerror or error}")
    if error.errno == errno.EFBIG:
        return f"{line}{LARGER}"
    return f"{line}: {_room(place)}" if error.errno in FULL else line


def _first(error: OSError) -> OSError:
    """Return the first error of those that the copy of a folder collects as texts; another error as it is."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list) and error.args[0]:
        source, copy, reason = error.args[0][0]
        if number := re.match(r"\[Errno (\d+)\]", str(reason)):
            return OSError(int(number[1]), os.strerror(int(number[1])), str(source), None, str(copy))
    return error


def is_local(error: Exception) -> bool:
    """Return whether an error is that of a file or disk of this machine, not of a server."""
    return isinstance(error, OSError) and (
        (first := _first(error)).errno in (*FULL, errno.EFBIG) or bool(first.filename)
    )


def _full_place(error: OSError) -> str:
    """Return what was written to a disk that is full: of a copy the second name, as the first is what was read.

    A write names no file. It was into the working folder, or, where less room is left there, for temporary files; with
    plenty of room at both it was elsewhere.
    """
    if place := _named(error):
        return place
    fullest = min(_places(), key=_free)
    return str(fullest) if _free(fullest) < PLENTY else ""


def _places() -> list[Path]:
    """Return the folders that files are written to whose errors do not name them."""
    return [Path.cwd(), *_temporary()]


def _named(error: OSError) -> str:
    for place in (error.filename2, error.filename):
        # It may be the number of an open file.
        if isinstance(place, str | bytes):
            return os.fsdecode(place)
    return ""


def _output_is_full() -> bool:
    """Return whether standard output takes nothing more, or is on the fullest disk of those written to."""
    try:
        # What it did not take is still to be written.
        sys.stdout.flush()
        number = sys.stdout.fileno()
        if stat.S_ISREG(os.fstat(number).st_mode):
            disk = os.fstatvfs(number)
            return disk.f_bavail * disk.f_frsize < min(map(_free, _places()))
        os.write(number, b"")
    except OSError as error:
        return error.errno in FULL
    except ValueError:
        # Closed.
        return False
    return False


def _drop_output() -> None:
    """Drop what standard output does not take: Python would try again at the end, and print an error of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _room(place: str) -> str:
    """Return how much room is left at the place of a full disk, unless that is not what is lacking, and the way out."""
    way_out = "make room, or set TMPDIR to a larger disk," if _is_temporary(Path(place)) else "make room,"
    room = f"{free / 2**20:,.1f} MiB are free there; " if place and (free := _free(Path(place))) < PLENTY else ""
    return f"{room}{way_out} and the same command goes on"


def _is_temporary(place: Path) -> bool:
    """Return whether a place is the folder for temporary files, or in what was made there; a user may name another."""
    below = (place.absolute().relative_to(one).parts for one in _temporary() if place.absolute().is_relative_to(one))
    return any(not parts or MADE.fullmatch(parts[0]) for parts in below)


def rooms(place: Path) -> str:
    """Return how much room is left at a place and in the folder of temporary files, which may be on other disks."""
    return ", ".join(
        f"{_free(one) / 2**20:,.1f} MiB are free in {one}" for one in dict.fromkeys((place, *_temporary()))
    )


def _free(place: Path) -> int:
    place = place.absolute()
    return shutil.disk_usage(next(one for one in (place, *place.parents) if one.exists())).free


def _temporary() -> list[Path]:
    """Return the folder of temporary files; none where there is no usable one, which Python finds out by a write."""
    try:
        return [Path(tempfile.gettempdir())]
    except OSError:
        return []


def _terminate(signum: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(signum).name)


def end_with(status: int, error: Exception) -> None:
    """Have an error end the program with this status: of some commands, 1 is an answer."""
    setattr(error, _STATUS, status)


def status_of(error: Exception) -> int:
    """Return the status that an error ends the program with."""
    return int(getattr(error, _STATUS, 1))


def one_line_interruptions() -> None:
    """Have Ctrl-C end a program of `python -m` with one line and 130 before `one_line_errors`: while it imports torch.

    Full memory then ends it with one line and 1. In a shell of Python, nothing is changed.
    """
    # Python's own word while it imports the packages that a program is in.
    if sys.argv[0] != "-m":
        return
    closed_streams.drop()

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        name = Path(sys.argv[0]).stem
        if sentence := full_memory.sentence(error):
            print(f"{name}: error: {sentence}", file=sys.stderr)
            raise SystemExit(1)
        if not issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        print(_interruption(name), file=sys.stderr)
        raise SystemExit(INTERRUPTED)

    sys.excepthook = hook


def _interruption(name: str) -> str:
    return f"{name}: {'interrupted' if name in OUTSIDE else INTERRUPTION}"


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Turn an error inside into one line on standard error and a non-zero exit.

    `InputError`, errors of the operating system (`OSError`: no such file, no space left, ...) and full memory become a
    line; Ctrl-C, SIGTERM, SIGUSR1 and a terminal that closes end with 130, or 75 where the state was kept; anything
    else is a mistake of this program and keeps its traceback.

    Args:
        name: what is running, for the line's beginning.

    Raises:
        SystemExit: with 1, or the status of `end_with`; 130 where the run was interrupted; that of `StoppedError`.
    """
    closed_streams.drop()
    for number in SIGNALS[1:]:
        # Under `nohup` the terminal may close.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _terminate)
    try:
        with insisting():
            yield
    except InputError as error:
        print(f"{name}: error: {shortening.line(str(error))}", file=sys.stderr)
        raise SystemExit(status_of(error)) from None
    except OSError as error:
        print(f"{name}: error: {full_memory.sentence(error) or line_of(error)}", file=sys.stderr)
        _drop_output()
        raise SystemExit(status_of(error)) from None
    except StoppedError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(error.status) from None
    except KeyboardInterrupt:
        print(_interruption(name), file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        if sentence := full_memory.sentence(error):
            print(f"{name}: error: {sentence}", file=sys.stderr)
        elif hasattr(error, _STATUS):
            traceback.print_exception(error)
        else:
            raise
        raise SystemExit(status_of(error)) from None
