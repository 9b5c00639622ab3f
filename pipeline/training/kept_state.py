"""The state of a long computation in files: written beside and moved into place, and checked when read.

A file's name is its number and the SHA-256 of its content. So a file that a crash or a disk has damaged is known by its
name alone, and never taken up.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from pipeline.core import digests
from pipeline.core.stopping import StoppedError, StopRequest
from pipeline.core.unused import KEPT_DAYS
from pipeline.training.resuming import State

# Of the time that goes by, at most a fiftieth is for writing.
LEAST_SHARE = 50
# A state of a computation that ends sooner is not worth its writing.
SHORT_SECONDS = 30.0
SUFFIX, PARTIAL = ".pt", ".partial"
# Names the result that a state has led to, by its digests.
MARK = "finished"
FINISHED_DAYS = 1
# A file that is written is younger.
ABANDONED_SECONDS = 3600


class KeptState:
    """A keeper (see `resuming.Keeper`) that keeps the last state in a folder.

    Args:
        folder: of this computation alone; its name stands for all that the computation follows from.
        minutes: how often a state is written, or seldomer where writing takes more than a fiftieth of the time; 0 for
            only at the end of a phase and where the process is asked to stop.
        stop: the request to stop.
        name: the stage, for its lines.
    """

    def __init__(self, folder: Path, *, minutes: float, stop: StopRequest, name: str) -> None:
        self._folder = folder
        self._minutes = minutes
        self._stop = stop
        self._name = name
        self._number = 0
        self._begun = self._last = time.monotonic()
        self._cost = 0.0
        self._full = False

    def load(self) -> State | None:
        """Return the last state that is whole; damaged files are named and removed, unreadable ones named."""
        self._begun = self._last = time.monotonic()
        for file in sorted(self._folder.glob(f"*{SUFFIX}"), reverse=True):
            try:
                state, written = _read(file), file.stat().st_mtime
            except FileNotFoundError:
                # Another process that trains the same has written a later one.
                return self.load()
            except OSError as error:
                # Such as a network file system that does not answer: the file may be whole.
                print(f"{self._name}: {file} cannot be read: {error.strerror or error}; left out", flush=True)
                continue
            if state is None:
                print(f"{self._name}: {file} is damaged, its content is not what its name says; left out", flush=True)
                file.unlink(missing_ok=True)
                continue
            self._number = int(file.stem.partition("-")[0])
            then = time.strftime("%Y-%m-%d %H:%M", time.localtime(written))
            print(f"{self._name}: goes on from the checkpoint of {then}, {state['where']}", flush=True)
            kept: State = state["state"]
            return kept
        return None

    def offer(self, state: Callable[[], State], where: Callable[[], str]) -> None:
        """Keep the state if it is time to, or the process has been asked to stop.

        Raises:
            StoppedError: after keeping it, where it has been asked to.
        """
        if self._stop.reason:
            kept = self._write(state(), where())
            way_out = "; the same command goes on from here" if kept else "; its state could not be kept"
            raise StoppedError(self._stop, f"{where()}{way_out}")
        if self._minutes and time.monotonic() - self._last >= max(60 * self._minutes, LEAST_SHARE * self._cost):
            self._write(state(), where())

    def check(self) -> None:
        """Raise where the process has been asked to stop; what was kept before is there.

        Raises:
            StoppedError: naming the signal.
        """
        if self._stop.reason:
            raise StoppedError(self._stop, "between two checkpoints; the same command goes on from the last")

    def finished(self, state: Callable[[], State], where: Callable[[], str]) -> None:
        """Keep the end of a phase, or the result, whose writing may fail; a short computation's is not kept."""
        if self._number or time.monotonic() - self._begun > SHORT_SECONDS:
            self._write(state(), where())

    def remove(self) -> None:
        """Remove the state; the computation has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def mark(self, result: str) -> None:
        """Note that the result is written: the state is needed only if DVC cannot record that.

        Args:
            result: its digests, for `remove_finished`.
        """
        # Nothing was kept of a short computation.
        with suppress(OSError):
            (self._folder / MARK).write_text(result, encoding="utf-8")

    def _write(self, state: State, where: str) -> bool:
        """Write a state in place of the one before; return whether that went well. A full disk stops nothing."""
        started = time.monotonic()
        # Two clones, or two studies that were left to a cluster, may train the same at the same time.
        partial = self._folder / f".{uuid4().hex}{PARTIAL}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                torch.save({"where": where, "state": dict(state)}, stream)
                stream.flush()
                # Before its name is there: after a loss of power there is this file or the one before.
                os.fsync(stream.fileno())
            before = list(self._folder.glob(f"*{SUFFIX}"))
            self._number += 1
            partial.replace(self._folder / f"{self._number:08d}-{digests.sha256(partial)}{SUFFIX}")
            for file in (*before, *_abandoned(self._folder)):
                file.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:
            # torch turns what the disk says into a RuntimeError of its own.
            partial.unlink(missing_ok=True)
            if not self._full:
                print(f"{self._name}: no checkpoint could be written to {self._folder}: {error}", flush=True)
            self._full = True
            return False
        finally:
            self._last = time.monotonic()
            self._cost = self._last - started
        return True


def remove_old(folder: Path) -> None:
    """Remove the states of computations of which nothing was heard for 30 days, or that were finished a day ago."""
    for old in _older(folder, FINISHED_DAYS * 24 * 3600):
        if (old / MARK).exists():
            shutil.rmtree(old, ignore_errors=True)
    for old in _older(folder, KEPT_DAYS * 24 * 3600):
        shutil.rmtree(old, ignore_errors=True)


def remove_finished(folder: Path, result: str) -> None:
    """Remove the states that have led to a result, which is recorded now."""
    for mark in folder.glob(f"*/{MARK}"):
        # Another process may take it away in the meantime.
        with suppress(OSError):
            if mark.read_text(encoding="utf-8") == result:
                shutil.rmtree(mark.parent, ignore_errors=True)


def _abandoned(folder: Path) -> Iterator[Path]:
    """Yield what was half written when its process was killed; that of another process that writes now is none."""
    for file in folder.glob(f".*{PARTIAL}"):
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
                yield file


def _older(folder: Path, seconds: float) -> Iterator[Path]:
    for one in folder.glob("*/"):
        times = list(_times(one))
        if times and time.time() - max(times) > seconds:
            yield one


def _times(folder: Path) -> Iterator[float]:
    """Yield when a folder and its files last changed, without those that another process takes away meanwhile."""
    for file in [folder, *folder.glob("*")]:
        with suppress(FileNotFoundError):
            yield file.stat().st_mtime


def _read(file: Path) -> dict[str, Any] | None:
    """Return a file's content; None where it is not what its name says."""
    if digests.sha256(file) != file.stem.partition("-")[2]:
        return None
    content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return content
