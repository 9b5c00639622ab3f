"""A disk that is full at some point of a stage, on a small file system: what is said, what stays, what goes on.

Needs leave to mount a file system in memory, as root has.
"""

import hashlib
import os
import random
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import clones
from clones import Clone

MEGABYTES = 400
STAGES = ("collect", "copies", "split", "preprocess", "source", "train", "evaluate", "report")
# Bytes that are left when a stage begins.
ROOM = (0, 4096, 65_536, 500_000, 2_000_000, 8_000_000, 17_000_000, 30_000_000)
BALLAST = "ballast"


class Prepared(NamedTuple):
    """A clone on a file system of its own in which every stage has run, and what each has left, by stage."""

    clone: Clone
    left: dict[str, dict[str, str]]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of 400 MB.

    Raises:
        PermissionError: where this is not allowed.
    """
    place = folder / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(words, check=False, capture_output=True).returncode:
        raise PermissionError("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def prepare(finished: Clone, disk: Path) -> Prepared:
    """Bring a clone in which every stage has run, and MLflow's record of it."""
    clone = clones.copied(finished, disk)
    clone.environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{disk}/mlflow.db"}
    clone.run("orbweaver", "sync")
    return Prepared(clone, {stage: digests(clone, stage) for stage in STAGES})


def command(stage: str) -> list[str]:
    """Return a stage's command for the first repeat."""
    return shlex.split(clones.DEFINITION[stage]["cmd"].replace("${item.repeat}", "1").replace("${item}", "--repeat 1"))


def outputs(stage: str) -> list[Path]:
    """Return the outputs of a stage that are the same each time."""
    places = [next(iter(out)) if isinstance(out, dict) else out for out in clones.DEFINITION[stage]["outs"]]
    return [Path(place.replace("${item.repeat}", "1")) for place in places if "runtime" not in place]


def digests(clone: Clone, stage: str) -> dict[str, str]:
    """Return the digest of every file of a stage's outputs; a report has times in it, so the names of its files."""
    found = {}
    for place in (clone.root / out for out in outputs(stage)):
        for file in [place] if place.is_file() else sorted(place.rglob("*")):
            if file.is_file():
                content = b"" if stage == "report" else file.read_bytes()
                found[str(file.relative_to(clone.root))] = hashlib.sha256(content).hexdigest()
    return found


def filled(prepared: Prepared, stage: str, chance: random.Random) -> str:
    """Run a stage again with little room left; it ends well, or says so in a line and leaves what was there.

    Returns:
        What it said.

    Raises:
        AssertionError: saying what was lost.
    """
    clone, room = prepared.clone, int(chance.choice(ROOM) * chance.uniform(0.5, 1.5))
    ballast = clone.root.parent / BALLAST
    free = shutil.disk_usage(clone.root).free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - room))
    try:
        told, status = _run(clone, stage)
    finally:
        ballast.unlink()
    if status:
        assert "Traceback" not in told, told
        lines = [line for line in told.splitlines() if line.startswith(f"{stage}: error:")]
        assert len(lines) == 1, told
        assert "free there; make room" in lines[0] or "free on its disk" in lines[0], told
    assert digests(clone, stage) == prepared.left[stage], f"{stage} with {room:,} bytes: its output has changed"
    again, status = _run(clone, stage)
    assert status == 0, again
    assert digests(clone, stage) == prepared.left[stage], f"{stage}: other output afterwards"
    return told


def _run(clone: Clone, stage: str) -> tuple[str, int]:
    child = clone.start(*command(stage))
    told, _ = child.communicate(timeout=600)
    return told, child.returncode
