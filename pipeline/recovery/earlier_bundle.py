"""The earlier bundle, kept while the next one is made: DVC deletes it first, but its cache still has it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.core import dvc_cache, lockfile, paths
from pipeline.core.errors import InputError
from pipeline.recovery.leftovers import TEMPORARY, Leftover

STAGE = "bundle"
ADDRESS = f"{paths.BUNDLE_STAGE}:{STAGE}"
LOCK = paths.BUNDLE_STAGE.with_suffix(".lock")
# The DVC file of before, from the moment at which another is written until that one's bundle is there.
DEFINITION = TEMPORARY / "earlier-bundle.yaml"


def remember(root: Path) -> None:
    """Keep the DVC file of a bundle that is there, or of the one that a kill has left to DVC's cache."""
    file, stored = root / paths.BUNDLE_STAGE, root / DEFINITION
    if stored.exists() and not (root / paths.BUNDLE).exists():
        return
    if not file.exists() or not (root / LOCK).exists():
        forget(root)
        return
    stored.parent.mkdir(parents=True, exist_ok=True)
    with paths.written_whole(stored) as target:
        target.write_bytes(file.read_bytes())


def forget(root: Path) -> None:
    """Say that the next bundle is made."""
    (root / DEFINITION).unlink(missing_ok=True)


def bring_back(root: Path) -> str:
    """Put back what was remembered, if anything, and return what was done.

    Raises:
        InputError: where DVC fails.
    """
    if not (root / DEFINITION).exists():
        return "none was there"
    with paths.written_whole(root / paths.BUNDLE_STAGE) as target:
        target.write_bytes((root / DEFINITION).read_bytes())
    dvc(root, "checkout", "--quiet", ADDRESS)
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


def dvc(root: Path, *words: str) -> None:
    """Run DVC in the user's clone, with what it prints on standard error.

    Raises:
        InputError: where it fails.
    """
    command = (sys.executable, "-m", "dvc", *words)
    if subprocess.run(command, cwd=root, stdout=sys.stderr.fileno(), check=False).returncode:
        raise InputError(f"{paths.BUNDLE}: was not made, for the reason above; the same command tries again")
