"""Trainings in copies of the user's clone, DVC's own (`--temp`) and a study's, that are killed with their copy."""

import contextlib
import random
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import clones
import experiments
import killing
import psutil
import yaml
from clones import Clone

from pipeline.core import paths
from pipeline.recovery import leftovers
from pipeline.running import cell_clones

STUDY = "title: Mine\nset: {repeats: [1]}\ncells:\n  head: {set: {lr: 0.002}}\n"
# The training alone, where DVC takes targets.
COMMANDS = {
    "temp": ("dvc", "exp", "run", "--temp", "-S", "lr=0.002", "train@1"),
    "cell": ("orbweaver", "study", "run", "mine.yaml"),
}
LOG = Path(".dvc/tmp/studies/mine/head.log")
# A kill later than that finds the training at its end on a fast machine.
SPREAD = 0.6
ATTEMPTS = 5


class Copied(NamedTuple):
    """A clone in whose copies a training is run, and how it ended undisturbed.

    Attributes:
        clone: with all that comes before the training.
        words: the command.
        seconds: from the first checkpoint to the training's end.
        hashes: of what the training leaves, by path.
    """

    clone: Clone
    words: tuple[str, ...]
    seconds: float
    hashes: Mapping[str, str]


def prepare(folder: Path, kind: str) -> Copied:
    """Make the clone, and run the command once."""
    (folder / "clone").mkdir()
    clone = clones.make_clone(folder / "clone", folder)
    (clone.root / "mine.yaml").write_text(STUDY, encoding="utf-8")
    killing.prepare(clone, "plain")
    clone.commit()
    words = COMMANDS[kind]
    _clear(clone)
    child = _begun(clone, words)
    began = time.monotonic()
    # `evaluate` removes the checkpoint of a finished training.
    while child.poll() is None and _checkpoints(clone):
        time.sleep(0.05)
    seconds = time.monotonic() - began
    assert child.wait(timeout=clones.PATIENCE) == 0
    return Copied(clone, words, seconds, _hashes(clone))


def killed(copied: Copied, chance: random.Random) -> None:
    """Kill a command and all in the copies; the same command has to go on from the checkpoint, to the same bytes.

    Raises:
        AssertionError: saying what differs.
    """
    clone = copied.clone
    # A machine that has become less busy may have ended the training.
    assert any(_cut(copied, chance.uniform(0, SPREAD * copied.seconds)) for _ in range(ATTEMPTS)), "always had ended"
    assert _checkpoints(clone), "no checkpoint in the clone"
    clone.run("orbweaver", "doctor", "--mend")
    assert not [copy for copy in (clone.root / ".dvc/tmp/exps/standalone").glob("tmp*") if copy.is_dir()]
    said = clone.run(*copied.words)
    log = clone.root / LOG
    said += log.read_text(encoding="utf-8") if log.exists() else ""
    assert "goes on from the checkpoint" in said, said
    assert _hashes(clone) == copied.hashes
    assert not _checkpoints(clone)


def _cut(copied: Copied, after: float) -> bool:
    """Kill a command and all in the copies some seconds after its first checkpoint.

    Returns:
        Whether its training had no result yet.
    """
    clone = copied.clone
    _clear(clone)
    child = _begun(clone, copied.words)
    time.sleep(after)
    for process in cell_clones.at_work_in(clone.root):
        with contextlib.suppress(psutil.Error):
            process.kill()
    child.wait(timeout=clones.PATIENCE)
    experiments.check_gone(clone.root)
    return not list((clone.root / leftovers.TEMPORARY).glob(f"**/{paths.trained(1)}/*"))


def _begun(clone: Clone, words: tuple[str, ...]) -> "subprocess.Popen[str]":
    """Start a command, and wait until its training has a checkpoint."""
    child = clone.start(*words, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + clones.PATIENCE
    while not _checkpoints(clone):
        assert child.poll() is None, f"{' '.join(words)} ended with {child.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return child


def _checkpoints(clone: Clone) -> list[Path]:
    return list((clone.root / paths.CHECKPOINTS).rglob("*.pt"))


def _clear(clone: Clone) -> None:
    """Remove checkpoints, experiments, and what DVC would have the training's results from."""
    for place in (paths.CHECKPOINTS, Path(".dvc/cache/runs"), LOG):
        shutil.rmtree(clone.root / place, ignore_errors=True)
    (clone.root / LOG).unlink(missing_ok=True)
    for ref in clones.experiments(clone):
        clone.run("git", "update-ref", "-d", ref)


def _hashes(clone: Clone) -> dict[str, str]:
    """Return the hashes of what the experiment's training left, but its times."""
    (ref,) = clones.experiments(clone)
    lock = yaml.safe_load(clone.run("git", "show", f"{ref}:dvc.lock"))
    outs = lock["stages"]["train@1"]["outs"]
    return {out["path"]: out["md5"] for out in outs if not out["path"].startswith("metrics/runtime")}
