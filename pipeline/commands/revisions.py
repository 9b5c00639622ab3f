"""The files of a git revision or a DVC experiment, without checking it out."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import tracking

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem


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
        """Return the file's bytes, as `tracking.Files` has it."""
        with _absent(path):
            content: bytes = self._files.read_bytes(path.as_posix())
        return content

    def names(self, folder: Path) -> list[Path]:
        """Return every file below the folder, as `tracking.Files` has it."""
        with _absent(folder):
            return sorted(Path(name) for name in self._files.find(folder.as_posix()))


@contextmanager
def _absent(path: Path) -> Iterator[None]:
    """Return DVC's errors for a file, and for a whole folder, that its cache does not have."""
    from dvc_data.index import DataIndexDirError

    try:
        yield
    except (FileNotFoundError, DataIndexDirError):
        raise FileNotFoundError(errno.ENOENT, "not in DVC's cache", str(path)) from None


def experiments(root: Path) -> list[tuple[str, str]]:
    """Return the revision of each of DVC's experiments, by name."""
    lines = git(root, "for-each-ref", "--format=%(objectname) %(refname:lstrip=4)", "refs/exps/??/*/*")
    return [(name, revision) for revision, name in (line.split(" ", 1) for line in lines)]


def git(root: Path, *words: str) -> list[str]:
    """Return the lines of git's output; none if there is no git, no repository or no such revision."""
    try:
        done = subprocess.run(("git", *words), cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
