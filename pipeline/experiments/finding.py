"""Experiments that are at hand, by the key that MLflow and bundles know them by."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from pipeline import tracking
from pipeline.core import git, paths
from pipeline.core.errors import InputError
from pipeline.experiments import reading, revisions


def experiment(root: Path, key: str) -> str | None:
    """Return the name of an experiment whose files are at hand, as `compare` knows it; None where there is none.

    Args:
        root: the project's root, where this process is.
        key: see `tracking.results.key_of`.
    """
    if not key:
        return None
    for name in tqdm(list(names(root)), desc="looking for the experiment", leave=False, disable=None):
        try:
            if tracking.read(reading.files_of(name)).key == key:
                return name
        except InputError:
            continue
    return None


def names(root: Path) -> Iterator[str]:
    """Yield the working tree, DVC's experiments, and the commits that changed the summary, the newest first."""
    yield reading.WORKSPACE
    known = revisions.experiments(root)
    counts = Counter(name for name, _ in known)
    # Experiments of different commits may have one name.
    yield from (name if counts[name] == 1 else revision for name, revision in known)
    yield from git.lines(root, "log", "--format=%H", "--", paths.SUMMARY.as_posix())
