"""Whole runs of DVC that are killed at random moments: what `dvc repro`, and `make repro`, make of what is left."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import clones
import readme
import tiny
from clones import Clone


class Whole(NamedTuple):
    """A clone in which nothing has run, and how a run in a copy of it ended.

    Attributes:
        fresh: the clone.
        seconds: that a whole run took.
        hashes: of the outputs that are the same each time, by path.
    """

    fresh: Clone
    seconds: float
    hashes: Mapping[str, str]


def prepare(folder: Path) -> Whole:
    """Make a clone, and run a copy of it to the end."""
    (folder / "clone").mkdir()
    fresh = clones.make_clone(folder / "clone", folder)
    fresh.params(**tiny.values())
    fresh.commit()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        clone = clones.copied(fresh, Path(place))
        started = time.monotonic()
        clone.run("dvc", "repro")
        return Whole(fresh, time.monotonic() - started, hashes(clone))


def hashes(clone: Clone) -> dict[str, str]:
    """Return the hashes of all outputs but those that hold times."""
    timed = ("metrics/runtime", "metrics/report", "metrics/summary.json")
    return {path: digest for path, digest in clone.outputs().items() if not path.startswith(timed)}


def repro_killed(whole: Whole, chance: random.Random) -> str:
    """Kill `dvc repro` and all that it started; `make repro` has to finish as an undisturbed run does.

    Returns:
        Whether plain `dvc repro` finished too: "dvc" or "make alone".

    Raises:
        AssertionError: saying what differs.
    """
    with tempfile.TemporaryDirectory(dir=whole.fresh.root.parent) as place:
        clone = clones.copied(whole.fresh, Path(place))
        _killed(clone, chance.uniform(0.5, whole.seconds), "dvc", "repro")
        kept = shutil.copytree(clone.root, Path(place) / "plain", symlinks=True)
        plain = Clone(Path(kept), Path(place))
        child = plain.start("dvc", "repro")
        child.communicate(timeout=clones.PATIENCE)
        clone.run("make", "repro", *readme.INSTALLED.split())
        assert hashes(clone) == whole.hashes
        return "make alone" if child.returncode else "dvc"


def _killed(clone: Clone, after: float, *words: str) -> None:
    child = clone.start(*words)
    try:
        child.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=60)
