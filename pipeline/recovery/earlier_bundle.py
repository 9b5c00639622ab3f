"""The earlier bundle, kept while the next one is made: DVC deletes it first, but its cache still has it."""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.core import digests, dvc_cache, lockfile, paths, stopping
from pipeline.core.errors import InputError
from pipeline.experiments import dvc_process
from pipeline.recovery.leftovers import TEMPORARY, Leftover

STAGE = "bundle"
ADDRESS = f"{paths.BUNDLE_STAGE}:{STAGE}"
LOCK = paths.BUNDLE_STAGE.with_suffix(".lock")
# The DVC file of before, from the moment at which another is written until that one's bundle is there, and its lock.
DEFINITION = TEMPORARY / "earlier-bundle.yaml"
RECORDED = DEFINITION.with_suffix(".lock")


def files(root: Path) -> dict[str, str]:
    """Return the digests of a bundle's files by their places in it; none where there is no bundle."""
    folder = root / paths.BUNDLE
    return {str(file.relative_to(folder)): digests.sha256(file) for file in folder.rglob("*") if file.is_file()}


@contextmanager
def kept(root: Path) -> Iterator[None]:
    """Bring the earlier bundle back where what makes the next one fails or is interrupted; signals wait for that.

    Raises:
        InputError: where DVC fails to.
    """
    before = files(root)
    remember(root)
    try:
        yield
    except (InputError, KeyboardInterrupt):
        with stopping.held_back():
            bring_back(root, before)
        raise
    forget(root)


def remember(root: Path) -> None:
    """Keep the DVC file of a bundle that is there, or of the one that a kill has left to DVC's cache."""
    stored = root / DEFINITION
    if stored.exists() and not (root / paths.BUNDLE).exists():
        return
    if not (root / paths.BUNDLE_STAGE).exists() or not (root / LOCK).exists():
        forget(root)
        return
    # The lock first: the other's being there says that both are.
    _copy(root / LOCK, root / RECORDED)
    _copy(root / paths.BUNDLE_STAGE, stored)


def forget(root: Path) -> None:
    """Say that the next bundle is made."""
    (root / DEFINITION).unlink(missing_ok=True)
    (root / RECORDED).unlink(missing_ok=True)


def _copy(file: Path, to: Path) -> None:
    with paths.written_whole(to) as target:
        target.write_bytes(file.read_bytes())


def bring_back(root: Path, before: Mapping[str, str] | None = None) -> str:
    """Put back what was remembered, if anything, and return what was done.

    Args:
        root: the project's root.
        before: the digests of the bundle's files, if there were any: where it is still there, DVC is not asked for it,
            which another one that is at work would refuse.

    Raises:
        InputError: where DVC fails.
    """
    if not (root / DEFINITION).exists():
        return "none was there"
    if (root / RECORDED).exists():
        _copy(root / RECORDED, root / LOCK)
    _copy(root / DEFINITION, root / paths.BUNDLE_STAGE)
    if not before or files(root) != before:
        words = ("checkout", "--force", ADDRESS)
        otherwise = f"the one of before is not back, for the reason above; `dvc {shlex.join(words)}` puts it back"
        dvc(root, *words, otherwise=otherwise)
    forget(root)
    return "put back"


def lost(root: Path) -> Iterator[Leftover]:
    """Find that a kill came after DVC had deleted the bundle; one that its cache lacks cannot be put back."""
    if (root / DEFINITION).exists() and not (root / paths.BUNDLE).exists() and _is_cached(root):
        what = f"{paths.BUNDLE}: deleted for the next one by an `orbweaver bundle` that was killed; DVC's cache has it"
        yield Leftover(what, f"dvc checkout {ADDRESS}", lambda: bring_back(root))


def _is_cached(root: Path) -> bool:
    """Return whether DVC's cache has all files of the bundle in dvc.lock."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        stages = lockfile.stages((root / LOCK).read_bytes())
        md5 = dict(lockfile.outputs(stages))[paths.BUNDLE.as_posix()]
        with Repo(str(root)) as repo:
            cache = Path(repo.cache.local_cache_dir)
        files = dvc_cache.listing(dvc_cache.object_of(cache, md5))
        return files is not None and all(dvc_cache.object_of(cache, one).is_file() for one in files.values())
    except (OSError, InputError, LookupError, ValueError, DvcException):
        return False


def dvc(root: Path, *words: str, otherwise: str) -> None:
    """Run DVC in the user's clone, with its errors and what a stage prints on standard error.

    Args:
        root: the project's root.
        words: DVC's.
        otherwise: what is so where it fails, and the way out.

    Raises:
        InputError: then.
    """
    if dvc_process.run(root, (*words, dvc_process.QUIET), os.environ):
        raise InputError(f"{paths.BUNDLE}: {otherwise}")
