"""`orbweaver sync`: fill MLflow from the files of every experiment that is at hand."""

import errno
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from pipeline import paths, tracking
from pipeline.errors import InputError

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem

WORDS = {"added": "added", "completed": "completed", "unchanged": "already there"}
ABSENT = "with files missing"


@click.command(name="sync")
@click.option("--models", is_flag=True, help="Also log the networks that the working tree holds, with their signature.")
def command(models: bool) -> None:
    """Fill MLflow from the files: of the working tree, of HEAD and of every DVC experiment."""
    sync()
    if models:
        # Imported here, so that without models nobody waits for torch.
        from pipeline.commands.models import log_models

        number = log_models()
        click.echo(f"MLflow: {number} {'model' if number == 1 else 'models'} added")


def sync() -> None:
    """Publish what the store lacks, and say what was done: one line for each that could not be, and one for all.

    Raises:
        InputError: if the store does not answer, or this is not the project's root.
    """
    if not paths.PARAMS.exists():
        raise InputError(f"{paths.PARAMS}: no such file; run this in the project's root")
    tracking.initialise()
    outcomes: dict[str, str] = {}
    for experiment in experiments(Path.cwd()):
        try:
            if not tracking.is_finished(experiment.files):
                continue
            published = tracking.publish(experiment.files, names=experiment.names, refresh=experiment.refresh)
            outcomes.setdefault(published.key, WORDS[published.outcome])
        except tracking.IncompleteError as error:
            outcomes[experiment.label] = ABSENT
            click.echo(f"{experiment.label}: left out: {error}")
    click.echo(_told(Counter(outcomes.values())))


def _told(counts: Counter[str]) -> str:
    """One line, like `MLflow: 2 experiments added, 3 already there`."""
    parts = [(counts[word], word) for word in (*WORDS.values(), ABSENT) if counts[word]]
    if not parts:
        return f"MLflow: no finished experiment yet, {tracking.shown(tracking.uri())} is ready"
    number, word = parts[0]
    noun = "experiment" if number == 1 else "experiments"
    return f"MLflow: {', '.join([f'{number} {noun} {word}', *(f'{n} {w}' for n, w in parts[1:])])}"


class Experiment(NamedTuple):
    """Files that may be those of a finished experiment, what DVC calls it, and whether they are the newest."""

    label: str
    files: tracking.Files
    names: tuple[str, ...]
    refresh: bool


class Revision:
    """The files of a git revision; what DVC tracks comes from its cache.

    Args:
        root: the project's root.
        revision: what git knows it by.
    """

    def __init__(self, root: Path, revision: str) -> None:
        self._root = root
        self._revision = revision

    @cached_property
    def _files(self) -> "DVCFileSystem":
        """Opened when first asked: DVC takes most of a second to import."""
        from dvc.api import DVCFileSystem
        from dvc.exceptions import DvcException

        try:
            return DVCFileSystem(str(self._root), rev=self._revision)
        except DvcException as error:
            raise tracking.IncompleteError(f"DVC cannot read it: {error}") from None

    def read(self, path: Path) -> bytes:
        """The file's bytes, as `tracking.Files` has it."""
        with _absent(path):
            content: bytes = self._files.read_bytes(path.as_posix())
        return content

    def names(self, folder: Path) -> list[Path]:
        """Every file below the folder, as `tracking.Files` has it."""
        with _absent(folder):
            return sorted(Path(name) for name in self._files.find(folder.as_posix()))


@contextmanager
def _absent(path: Path) -> Iterator[None]:
    """What DVC says of a file, and what it says of a whole folder, that its cache does not have."""
    from dvc_data.index import DataIndexDirError

    try:
        yield
    except (FileNotFoundError, DataIndexDirError):
        raise FileNotFoundError(errno.ENOENT, "not in DVC's cache", str(path)) from None


def experiments(root: Path) -> Iterator[Experiment]:
    """Where an experiment's files may be: the working tree, HEAD and DVC's experiments."""
    yield Experiment("working tree", tracking.Folder(Path()), (), True)
    if _git(root, "rev-parse", "--verify", "--quiet", "HEAD"):
        yield Experiment("HEAD", Revision(root, "HEAD"), (), False)
    for line in _git(root, "for-each-ref", "--format=%(objectname) %(refname:lstrip=4)", "refs/exps/??/*/*"):
        revision, name = line.split(" ", 1)
        yield Experiment(f"experiment {name}", Revision(root, revision), (name,), False)


def _git(root: Path, *words: str) -> list[str]:
    """What git prints, by lines; none where there is no git, no repository or no such revision."""
    try:
        done = subprocess.run(("git", *words), cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
