"""Digests of the user's own files, such as photographs, as DVC computes them."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.core import lockfile, paths
from pipeline.core.errors import InputError
from pipeline.datasets.collect import hashable, listing

NOTE = Path(".dvc/tmp/own-files.json")
# Which DVC refuses in a folder that a stage reads.
REFUSED = ".dvcignore"


class _Read:
    """Filter of a folder for DVC, which is to hash nothing that file managers leave there and `collect` passes over."""

    def walk(self, fs: Any, path: str, **_options: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        """Yield each folder with the folders and files in it, as `os.walk` does."""
        for folder, inside, files in fs.walk(path):
            inside[:] = [name for name in inside if not listing.is_passed_over(name)]
            yield folder, inside, [name for name in files if name == REFUSED or not listing.is_passed_over(name)]

    def find(self, fs: Any, path: str) -> Iterator[str]:
        """Yield each file below a folder."""
        yield from (f"{folder}{os.sep}{name}" for folder, _, files in self.walk(fs, path) for name in files)


def digest(root: Path, place: Path) -> str:
    """Return the digest by which DVC would know a file or folder without hidden files and those of operating systems.

    Files are read once: DVC remembers those that have not been touched since.

    Args:
        root: the project's root, with DVC's repository.
        place: the file or folder; one that is not there has an empty digest.

    Raises:
        InputError: for a file that DVC cannot read, a link to a folder, which DVC does not follow, and where there is
            no repository.
    """
    if not place.exists():
        return ""
    if link := next(listing.linked_folders(place), None):
        raise InputError(
            f"{link}: is a symbolic link to a folder, whose changes DVC does not see; put the folder itself there"
        )
    # DVC would stop or hang here, and in every cell.
    hashable.check(place)
    # Most studies have no files of the user's own, and DVC takes most of a second to import.
    from dvc.exceptions import DvcException
    from dvc.fs import LocalFileSystem
    from dvc.repo import Repo
    from dvc_data.hashfile.build import IgnoreInCollectedDirError, build

    try:
        with Repo(str(root)) as repo:
            files = LocalFileSystem()
            # The clone's .dvcignore does not count: to the one in which a cell runs, they are outside.
            _, _, content = build(repo.cache.local, str(place.resolve()), files, "md5", dry_run=True, ignore=_Read())
    except IgnoreInCollectedDirError as error:
        raise InputError(f"{place}: {error}; remove that file") from None
    except DvcException as error:
        raise InputError(
            f"{root}: DVC cannot open it: {error}; `git restore .dvc` restores what was committed"
        ) from None
    except OSError as error:
        raise InputError(f"{error.filename or place}: {error.strerror or error}; mend or remove it") from None
    return str(content.hash_info.value)


def note(project: Path, own: Iterable[tuple[str, str]]) -> None:
    """Note in a clone what an experiment in it is named by, for who finds it after a kill; see `changed_since`."""
    (project / NOTE).parent.mkdir(parents=True, exist_ok=True)
    with paths.written_whole(project / NOTE) as target:
        target.write_text(json.dumps(list(own)), encoding="utf-8")


def noted(project: Path) -> list[tuple[str, str]]:
    """Return what was noted.

    Raises:
        InputError: where nothing was, so that nobody knows what an experiment of the clone is.
    """
    try:
        return [(place, digest) for place, digest in json.loads((project / NOTE).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        raise InputError(
            f"{project}: has no {NOTE}, so it is not known which files its experiment has read; delete the folder"
        ) from None


def changed_since(project: Path, own: Iterable[tuple[str, str]]) -> str:
    """Return in a line that the experiment of a clone has read other files than those it is named by; else "".

    Args:
        project: the project's root in the clone, as the experiment left it.
        own: the places of the user's own files that it reads, each with the digest of when it was planned.
    """
    for place, planned in own:
        locked = lockfile.stages((project / paths.LOCK).read_bytes())
        read = {
            dep.get("md5")
            for stage in locked.values()
            for dep in stage.get("deps", ())
            if Path(dep["path"]) == Path(place)
        }
        # DVC has hashed hidden files too, which do not matter where all others are as they were.
        if read - {planned} and digest(project, Path(place)) != planned:
            return f"{place}: was changed after the study had begun; the same command runs it as it is now"
    return ""
