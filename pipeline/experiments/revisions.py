"""The files of a git revision or a DVC experiment, without checking it out."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import tracking
from pipeline.core import dvc_cache, git, paths
from pipeline.core.errors import InputError
from pipeline.experiments import cloning, dvc_outputs
from pipeline.experiments.git_objects import objects

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem

DEFINITION, CONFIG = Path("dvc.yaml"), Path(".dvc/config")
# By the clone and its revision's settings of DVC: opening it takes as long as reading a hundred revisions.
_caches: dict[tuple[Path, bytes | None], Path | None] = {}


class Revision:
    """The files of a git revision; what DVC tracks comes from its cache.

    A file that git or the clone's cache has is read there, in a millisecond; the others are asked of DVC, which takes
    half a second for a revision, and brings from its remote storage what the cache lacks.

    Args:
        root: the project's root.
        revision: what git knows it by.
        again: the way out where a file cannot be used, see `tracking.Files`; by default to run its settings again.
    """

    def __init__(self, root: Path, revision: str, again: str = "") -> None:
        self._root = root
        self._revision = revision
        self.again = again or run_again(revision)

    @cached_property
    def _files(self) -> "DVCFileSystem":
        """Opened when first asked: DVC takes most of a second to import."""
        from dvc.api import DVCFileSystem
        from dvc.exceptions import DvcException

        try:
            return DVCFileSystem(str(self._root), rev=self._revision)
        except DvcException as error:
            raise tracking.IncompleteError(f"DVC cannot read it: {error}; {self.again}") from None

    @cached_property
    def _outputs(self) -> dict[str, str]:
        parts = [self._in_git(path) for path in (DEFINITION, paths.PARAMS, paths.LOCK)]
        whole = [part for part in parts if part is not None]
        return dvc_outputs.hashes(*whole) if len(whole) == len(parts) else {}

    @cached_property
    def _cache(self) -> Path | None:
        from dvc.exceptions import DvcException

        place = (self._root.resolve(), self._in_git(CONFIG))
        if place not in _caches:
            try:
                _caches[place] = dvc_outputs.cache(self._root, self._revision)
            except DvcException:
                _caches[place] = None
        return _caches[place]

    def _in_git(self, path: Path) -> bytes | None:
        opened = objects(self._root)
        return opened.read(self._revision, path) if opened else None

    def _cached(self, md5: str) -> Path | None:
        return dvc_cache.object_of(self._cache, md5) if self._cache else None

    def _listing(self, md5: str) -> dict[str, str] | None:
        place = self._cached(md5) if md5.endswith(dvc_cache.FOLDER) else None
        return dvc_cache.listing(place) if place else None

    def _at_hand(self, path: Path) -> bytes | None:
        """Return the bytes of a file that git or DVC's cache has; None where DVC itself is to be asked.

        Raises:
            FileNotFoundError: there is none of this name in a folder that the cache has.
        """
        if (content := self._in_git(path)) is not None:
            return content
        output = dvc_outputs.find(self._outputs, path)
        if output is None:
            return None
        md5, within = output
        if within:
            listing = self._listing(md5)
            if listing is None:
                return None
            if within not in listing:
                raise _not_there(path)
            md5 = listing[within]
        place = self._cached(md5)
        return place.read_bytes() if place and place.is_file() and not md5.endswith(dvc_cache.FOLDER) else None

    def read(self, path: Path) -> bytes:
        """Return the file's bytes, as `tracking.Files` has it."""
        if (content := self._at_hand(path)) is not None:
            return content
        with _absent(path):
            asked: bytes = self._files.read_bytes(path.as_posix())
        return asked

    def names(self, folder: Path) -> list[Path]:
        """Return every file below the folder, as `tracking.Files` has it."""
        md5 = self._outputs.get(folder.as_posix(), "")
        if (listing := self._listing(md5)) is not None:
            return sorted(folder / name for name in listing)
        with _absent(folder):
            return sorted(Path(name) for name in self._files.find(folder.as_posix()))


@contextmanager
def _absent(path: Path) -> Iterator[None]:
    """Raise FileNotFoundError where DVC reports that its cache lacks a file or a folder."""
    from dvc_data.index import DataIndexDirError

    try:
        yield
    except (FileNotFoundError, DataIndexDirError):
        raise _not_there(path) from None


def _not_there(path: Path) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "not in DVC's cache (pull it, if it was pushed)", str(path))


def run_again(revision: str) -> str:
    """Return the way to have an experiment's results again: by the code that is checked out, which `compare` needs."""
    return f"`git restore --source={revision[:12]} {paths.PARAMS}`, then `dvc exp run` makes it again"


def results(root: Path, revision: str, name: str) -> tracking.Results:
    """Return the results of a revision.

    Args:
        root: the project's root.
        revision: what git knows it by.
        name: what the user calls it, for messages.

    Raises:
        InputError: where a file of it is missing or cannot be used, with the way out.
    """
    try:
        return tracking.read(Revision(root, revision))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def experiments(root: Path) -> list[tuple[str, str]]:
    """Return the name and the revision of each of DVC's experiments; none where git does not answer.

    Raises:
        InputError: in another user's clone, which git refuses.
    """
    try:
        listed = cloning.experiments(root)
    except (InputError, FileNotFoundError):
        git.check_owner(root)
        return []
    return [(reference.split("/", 4)[-1], revision) for reference, revision in listed.items()]
