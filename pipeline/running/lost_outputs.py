"""Folders that dvc.lock names and DVC's cache lacks, as in a clone of committed results that nobody has pulled."""

from collections.abc import Callable
from pathlib import Path

from pipeline.core import lock_texts, lockfile, paths
from pipeline.core.dvc_cache import FOLDER, object_of

Has = Callable[[str], bool]


def sentence(root: Path, cache: Path) -> str:
    """Return in a sentence that the cache of a project lacks folders, and what to do; "" where it has all.

    Args:
        root: the project's root, which has a dvc.lock.
        cache: DVC's cache.
    """
    by_stage = lost((root / paths.LOCK).read_bytes(), in_cache(cache))
    if not by_stage:
        return ""
    first = next(path for lacking in by_stage.values() for path in lacking)
    return (
        f"{paths.LOCK} names folders that DVC's cache lacks, such as {first}; `dvc pull` downloads them from a remote; "
        "without one, run `dvc repro` before `dvc exp run`, which may fail without them"
    )


def lost(lock: bytes, has: Has) -> dict[str, list[str]]:
    """Return the folders that are not there, by stage.

    Args:
        lock: dvc.lock.
        has: whether a folder's list of files, by its MD5, is where it is looked for.
    """
    by_stage = {}
    for name, stage in lock_texts.stages(lock).items():
        named = list(lockfile.outputs({name: stage}))
        lacking = [path for path, md5 in named if md5.endswith(FOLDER) and not has(md5)]
        if lacking:
            by_stage[name] = lacking
    return by_stage


def in_cache(cache: Path) -> Has:
    """Return a function that tells whether DVC's cache has a hash."""
    return lambda md5: object_of(cache, md5).exists()


def forget(project: Path, has: Has) -> None:
    """Take stages out of dvc.lock whose folders are not there.

    `dvc exp run` of DVC 3.67 looks for a stage's dependencies inside such a folder as dvc.lock had it at the start, and
    fails, though an earlier stage has brought another one by then.

    Args:
        project: the project's root in a clone of ours.
        has: as for `lost`.
    """
    file = project / paths.LOCK
    if not file.exists():
        return
    content = file.read_bytes()
    if gone := lost(content, has):
        left = {name: stage for name, stage in lockfile.stages(content).items() if name not in gone}
        file.write_text(lock_texts.text(left), encoding="utf-8")
