"""A cell's checkpoints in DVC's remote, so that it goes on where another node begins it again."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import click

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.running.remotes import Remotes, opened

# Beside what DVC has there, which does not look at it.
FOLDER = "orbweaver-checkpoints"
# Seconds between two looks at whether there is a new one.
LOOK_EVERY = 60.0


class RemoteCheckpoints:
    """The checkpoints of one cell. A remote that fails costs them, and never the training.

    A file's name has the hash of its content, so one that came in part is known when it is read.

    Args:
        project: the project's root in the cell's clone.
        remotes: where they go.
        experiment: DVC's name for the cell.
    """

    def __init__(self, project: Path, remotes: Remotes, experiment: str) -> None:
        self._project = project
        self._remotes = remotes
        self._experiment = experiment
        self._folder = project / paths.CHECKPOINTS
        self._there: set[str] = set()
        self._looked = time.monotonic()

    def bring(self) -> None:
        """Fetch those that a node before this one left."""
        with self._failing("no checkpoint was looked for"), self._place() as (fs, place):
            for file in list(fs.find(place)):
                name = "/".join(fs.parts(file)[-2:])
                (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
                fs.get_file(file, str(self._folder / name))
                self._there.add(name)

    def follow(self) -> None:
        """Push what is new, if a minute has gone by since this was last done."""
        if time.monotonic() - self._looked >= LOOK_EVERY:
            self.give()
            self._looked = time.monotonic()

    def give(self) -> None:
        """Push what is new, and then remove what it takes the place of."""
        here = {f"{file.parent.name}/{file.name}": file for file in self._folder.glob("*/*-*")}
        if here.keys() == self._there:
            return
        with self._failing("no checkpoint was shared"), self._place() as (fs, place):
            for name in here.keys() - self._there:
                # The training may have written the next one just then.
                with suppress(FileNotFoundError):
                    fs.makedirs(fs.join(place, name.partition("/")[0]), exist_ok=True)
                    fs.put_file(str(here[name]), fs.join(place, name))
                    self._there.add(name)
            for name in self._there - here.keys():
                fs.rm(fs.join(place, name))
                self._there.discard(name)

    def drop(self) -> None:
        """Remove all: the experiment is finished."""
        with self._failing("its checkpoints stay there"), self._place() as (fs, place):
            for name in list(self._there):
                fs.rm(fs.join(place, name))

    @contextmanager
    def _place(self) -> Iterator[tuple[Any, str]]:
        """Yield the remote's file system and the cell's folder there."""
        with opened(self._project, self._remotes) as repo:
            remote = repo.cloud.get_remote(self._remotes.dvc)
            yield remote.fs, remote.fs.join(remote.path, FOLDER, self._experiment)

    @contextmanager
    def _failing(self, otherwise: str) -> Iterator[None]:
        """Have an error of the remote be a line."""
        try:
            yield
        except InputError as error:
            click.echo(f"{self._experiment}: {otherwise}: {error}")


class BackgroundSharing:
    """A thread in which checkpoints go to the remote, so that one that hangs holds up nothing else.

    Args:
        checkpoints: those of the cell.
    """

    def __init__(self, checkpoints: RemoteCheckpoints) -> None:
        self._checkpoints = checkpoints
        self._is_over = Event()
        self._last: tuple[Callable[[], None], ...] = ()
        # The process ends without it.
        self._thread = Thread(target=self._share, name="checkpoints", daemon=True)
        self._thread.start()

    def _share(self) -> None:
        while not self._is_over.wait(1.0):
            self._checkpoints.follow()
        for act in self._last:
            act()

    def end(self, seconds: float, *last: Callable[[], None]) -> bool:
        """Return whether it has ended in time, after doing what is named."""
        self._last = last
        self._is_over.set()
        self._thread.join(max(seconds, 0.0))
        return not self._thread.is_alive()
