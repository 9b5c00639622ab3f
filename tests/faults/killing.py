"""Trainings that are killed at random moments, in real processes, and what they end with when they go on.

`make faults` runs them and writes a table; `test_faults.py` a few of them.
"""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import limits
import tiny
from clones import Clone

from pipeline.core import paths
from pipeline.core.stopping import STOPPED
from pipeline.training import kept_state

# Long enough to be cut anywhere, with a checkpoint twice a second.
BUDGET = {"train.budget": {"unit": "epochs", "amount": 16}, "train.batch_size": 8}
OFTEN = 1 / 120
TRAIN = ("python", "-m", "pipeline.stages.train", "1")
PREPARED = ("split@1", "preprocess", "source")
# Seconds within which a process that is asked to stop has kept its state and ended.
PATIENCE = 5.0
# What a training says that is asked to stop where it has no step to end.
BETWEEN = "between two checkpoints; the same command goes on from the last"
# Asked while it wrote its results.
LAST = "after its last step"
PHASES = [{"freeze": 1, "amount": 6, "lr": 1e-3}, {"freeze": "3c", "amount": 10, "lr": 1e-4}]

VARIANTS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "plain": ({}, {}),
    "phases": ({"train.phases": PHASES}, {"freeze": "phases"}),
    "spa_gca": ({}, {"regularizer": "spa_gca"}),
    "augmentation and weighted sampling": ({"data.augmentation": "animals", "train.sampler": "weighted"}, {}),
}


class Training(NamedTuple):
    """A training that ran undisturbed.

    Attributes:
        begun: seconds from its process's start to its first epoch's end.
        seconds: to its last epoch's end.
        digests: of all that it leaves but its times, by file.
    """

    begun: float
    seconds: float
    digests: Mapping[str, str]


def prepare(clone: Clone, variant: str) -> None:
    """Set a variant up in a clone, and run all stages before the training."""
    changes, axes = VARIANTS[variant]
    clone.params(**tiny.values(BUDGET | changes, **axes, checkpoint_every=OFTEN))
    clone.run("dvc", "repro", *PREPARED)


def digests(root: Path) -> dict[str, str]:
    """Return the digest of every file that a training leaves, but for that of its times."""
    folders = (root / paths.trained(1), root / paths.training_metrics(1))
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def clear(clone: Clone) -> None:
    """Remove what a training has left."""
    for place in (paths.trained(1), paths.training_metrics(1), paths.CHECKPOINTS):
        shutil.rmtree(clone.root / place, ignore_errors=True)


def undisturbed(clone: Clone) -> Training:
    """Train to the end."""
    clear(clone)
    started, ends = time.monotonic(), []
    with clone.start(*TRAIN) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("epoch "):
                ends.append(time.monotonic() - started)
    assert child.returncode == 0
    return Training(ends[0], ends[-1], digests(clone.root))


def cut(clone: Clone, after: float, number: signal.Signals) -> tuple[int, float, str]:
    """Start the training, and send a signal to its process group after so many seconds.

    Returns:
        The status, the seconds from the signal to the end, and what was printed.
    """
    child = clone.start(*TRAIN)
    try:
        told, _ = child.communicate(timeout=after)
        return child.returncode, 0.0, told
    except subprocess.TimeoutExpired:
        sent = time.monotonic()
        os.killpg(child.pid, number)
        told, _ = child.communicate(timeout=60)
    return child.returncode, time.monotonic() - sent, told


def killed(clone: Clone, training: Training, chance: random.Random) -> None:
    """Kill a training twice at random moments; it has to end as the undisturbed one did.

    Raises:
        AssertionError: saying what was lost or differs.
    """
    clear(clone)
    resumed = []
    for _ in range(2):
        status, _, told = cut(clone, chance.uniform(training.begun, training.seconds), signal.SIGKILL)
        assert status in (0, -signal.SIGKILL), told
        resumed.append("goes on from the checkpoint" in told)
    ended = clone.run(*TRAIN)
    # What had a first epoch has had a checkpoint.
    assert resumed[1] or "goes on from the checkpoint" in ended or "epoch 1:" in ended, ended
    _same(clone, training)


def asked_to_stop(clone: Clone, training: Training, chance: random.Random) -> None:
    """Ask a training to stop at a random moment; it has to do so in time, keep its state, and go on.

    Raises:
        AssertionError: likewise.
    """
    clear(clone)
    number = chance.choice([signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
    status, seconds, told = cut(clone, chance.uniform(training.begun, training.seconds), number)
    # Where it was faster this time, it has ended, or was interrupted at its end.
    if status != 0 and "interrupted" not in told:
        assert status == (130 if number == signal.SIGINT else STOPPED), told
        assert seconds < PATIENCE or seconds < PATIENCE * limits.slowness(time.monotonic), f"{seconds:.1f} s"
        # Where features are computed there is no step to end: what was kept at the end of the phase before serves.
        is_between_steps = BETWEEN in told or LAST in told
        if not is_between_steps:
            assert re.search(rf"stopped by {number.name} in epoch \d+, after step (\d+) of", told), told
            assert list((clone.root / paths.CHECKPOINTS).rglob("*.pt")), told
        goes_on = clone.run(*TRAIN)
        assert is_between_steps or "goes on from the checkpoint" in goes_on, goes_on
    elif status != 0:
        clone.run(*TRAIN)
    _same(clone, training)


def _same(clone: Clone, training: Training) -> None:
    found = digests(clone.root)
    differing = sorted(
        name for name in found.keys() | training.digests if found.get(name) != training.digests.get(name)
    )
    assert not differing, f"differ: {', '.join(differing)}"
    # That of a finished training stays until `evaluate`.
    places = {file.parent for file in (clone.root / paths.CHECKPOINTS).rglob("*.pt")}
    left = [place for place in places if not (place / kept_state.MARK).exists()]
    assert not left, f"left: {left}"


Trial = Callable[[Clone, Training, random.Random], None]
KILLED = "kill -9, twice"
TRIALS: dict[str, Trial] = {KILLED: killed, "SIGTERM, SIGUSR1 or Ctrl-C": asked_to_stop}
