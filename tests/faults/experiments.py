"""`dvc exp run` and studies that are killed with edits in the user's files, on stub stages: what is DVC's is meant."""

import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import clones
import limits
import stubs
import yaml
from clones import Clone

from pipeline.running import cell_clones
from pipeline.running.executors import processes
from pipeline.tracking import labels

# What is left running by a kill has to be gone by then, in seconds.
GONE = 2.0
STUDY = "title: Mine\nset: {repeats: [1]}\ncells:\n  head: {set: {freeze: 1}}\n  two: {set: {freeze: 2}}\n"
RUN = ("dvc", "exp", "run", "-S", "freeze=2")
# Seconds for which DVC has the user's edits in git's stash, measured as .58 to .70, and some more.
HELD = 0.8
TRAININGS = "FAULTS_TRAININGS"
# `dvc exp run` that is killed where the experiment is in git's stash, which DVC applies it from, and the edits are not.
CUT = """
import os, signal
from scmrepo.git.backend.pygit2 import Pygit2Backend
from dvc.cli import main

def set_ref(self, name, *words, **options):
    written(self, name, *words, **options)
    if name == "refs/stash":
        os.kill(os.getpid(), signal.SIGKILL)

written, Pygit2Backend.set_ref = Pygit2Backend.set_ref, set_ref
main(["exp", "run", "-S", "freeze=2"])
"""
# A training that takes its time, and notes when it begins and ends, and which of its kind live then.
TRAIN = f"""
import os, sys, time
from pathlib import Path
import psutil
from pipeline.stages import stubs

def lives(number):
    try:
        return "pipeline.stages.train" in psutil.Process(number).cmdline()
    except psutil.Error:
        return False

def note(word):
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{{word}} {{freeze}} {{os.getpid()}}\\n")

if __name__ == "__main__":
    log, freeze = Path(os.environ["{TRAININGS}"]), stubs.read()["network"]["freeze"]
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    begun = [line.split() for line in lines]
    others = [int(number) for word, cell, number in begun if word == "begin" and cell == str(freeze)]
    note("twice" if any(map(lives, others)) else "begin")
    time.sleep(1)
    stubs.main("train", sys.argv[1:])
    note("end")
"""


class Edited(NamedTuple):
    """A clone whose user has edits that are not committed, which each trial has as it was.

    Attributes:
        clone: at the same place for each trial, as MLflow's store names it.
        template: its files.
        seconds: that a study and an experiment took.
    """

    clone: Clone
    template: Path
    seconds: Mapping[str, float]


def prepare(folder: Path, timed: Sequence[str] = ("study", "run")) -> Edited:
    """Make the clone, and time a study and an experiment in it, or less: a trial may need neither."""
    (folder / "clone").mkdir()
    clone = clones.make_stubbed(folder / "clone", folder)
    (clone.root / "pipeline/stages/train.py").write_text(TRAIN, encoding="utf-8")
    clone.environment |= {stubs.PUBLISHES: "1", TRAININGS: str(folder / "trainings")}
    clone.commit()
    clone.run("python", "-m", "pipeline.stages.validate")
    clone.run("python", "-c", "from pipeline import tracking; tracking.initialize()")
    params = clone.root / "params.yaml"
    params.write_text("# mine\n" + params.read_text(encoding="utf-8") + "# mine too\n", encoding="utf-8")
    _add(clone, ".gitignore", "/x\n")
    (clone.root / "mine.yaml").write_text(STUDY, encoding="utf-8")
    clone.run("git", "add", "mine.yaml")
    template = Path(shutil.copytree(clone.root, folder / "template", symlinks=True))
    seconds = {}
    for name in timed:
        started = time.monotonic()
        clone.run(*(RUN if name == "run" else ("orbweaver", "study", "run", "mine.yaml")))
        seconds[name] = time.monotonic() - started
        _renew(clone, template)
    return Edited(clone, template, seconds)


def _add(clone: Clone, name: str, text: str) -> None:
    with (clone.root / name).open("a", encoding="utf-8") as file:
        file.write(text)


def _renew(clone: Clone, template: Path) -> None:
    shutil.rmtree(clone.root)
    shutil.copytree(template, clone.root, symlinks=True)
    _log(clone).unlink(missing_ok=True)


def study_killed(edited: Edited, chance: random.Random) -> None:
    """Kill a study; edits are there, the same command finishes, and no cell is trained twice or shown twice.

    Raises:
        AssertionError: saying what is not so.
    """
    clone = edited.clone
    _renew(clone, edited.template)
    before, words = state(clone), ("orbweaver", "study", "run", "mine.yaml")
    kill(clone, chance.uniform(0.5, edited.seconds["study"]), *words)
    assert state(clone) == before, "the user's files have changed"
    finished, noted = clones.experiments(clone), len(_trainings(clone))
    assert "0 failed" in clone.run(*words)
    assert state(clone) == before, "the user's files have changed"
    assert len(clones.experiments(clone)) == 2, clones.experiments(clone)
    assert not list((clone.root / cell_clones.PLACE).iterdir())
    again = {cell for word, cell, _ in _trainings(clone)[noted:] if word != "end"}
    there = {str(cell) for cell, name in ((1, "head"), (2, "two")) if any(f"-{name}-" in ref for ref in finished)}
    assert not again & there, f"trained again: {again & there}"
    _nothing_double(clone)


def run_killed(edited: Edited, chance: random.Random) -> None:
    """Kill an experiment; `orbweaver doctor --mend` brings the edits back, and the same command finishes.

    Raises:
        AssertionError: saying what is not so.
    """
    clone = edited.clone
    _renew(clone, edited.template)
    before, there = state(clone), clones.experiments(clone)
    kill(clone, chance.uniform(0.5, edited.seconds["run"]), *RUN)
    told = clone.run("orbweaver", "doctor", "--mend")
    if clones.experiments(clone) == there:
        assert state(clone) == before, told
    _finishes(clone)


def run_killed_and_another_run(edited: Edited, chance: random.Random) -> None:
    """Kill an experiment while DVC has the user's edits, run another one, and perhaps edit; all edits come back.

    Raises:
        AssertionError: saying what is not so.
    """
    clone = edited.clone
    _renew(clone, edited.template)
    before, stash = state(clone), clone.root / ".git/refs/stash"
    child = clone.start(*RUN, stdout=subprocess.DEVNULL)
    while not stash.exists() and child.poll() is None:
        time.sleep(0.001)
    assert kill(clone, chance.uniform(0, HELD), child=child), "it had ended"
    said, _ = clone.start("dvc", "exp", "run", "-S", "freeze=1").communicate(timeout=clones.PATIENCE)
    newer = chance.choice([b"", b"# newer\n"])
    with (clone.root / ".dvcignore").open("ab") as file:
        file.write(newer)
    held = clone.run("git", "stash", "list")
    told = clone.run("orbweaver", "doctor", "--mend")
    params, head, stashed, status = state(clone)
    # Where DVC had given them back, or failed anew, the first one's -S may stay: a git that was killed leaves its lock,
    # at which the second run fails when it has stashed what the first one had applied.
    may_stay = held.count("\n") != 1 or "index is locked" in said
    lacking = set(before[0].splitlines()) - set(params.splitlines())
    assert lacking <= ({b"freeze: auto"} if may_stay else set()), f"{lacking}: {said}\n{told}"
    assert params.endswith(b"# mine too\n"), told
    assert (head, stashed) == before[1:3], told
    assert {" M .gitignore", " M params.yaml"} <= set(status.splitlines()), f"{status}\n{told}"
    assert (clone.root / ".dvcignore").read_bytes().endswith(newer)
    _finishes(clone)


def run_cut_and_another_run(edited: Edited) -> None:
    """Kill an experiment while it is in git's stash itself, and run another one; all edits come back, and it goes.

    Raises:
        AssertionError: saying what is not so.
    """
    clone = edited.clone
    _renew(clone, edited.template)
    before = state(clone)
    clone.run("python", "-c", CUT, code=-signal.SIGKILL)
    assert "dvc-exp:" in clone.run("git", "stash", "list")
    said, _ = clone.start("dvc", "exp", "run", "-S", "freeze=1").communicate(timeout=clones.PATIENCE)
    told = clone.run("orbweaver", "doctor", "--mend")
    assert state(clone) == before, f"{said}\n{told}"
    assert "no kill has left anything" in clone.run("orbweaver", "doctor", "--mend")
    _finishes(clone)


def _finishes(clone: Clone) -> None:
    clone.run(*RUN)
    text = (clone.root / "params.yaml").read_text(encoding="utf-8")
    assert text.startswith("# mine\n")
    assert text.endswith("# mine too\n")
    assert yaml.safe_load(text)["freeze"] in (2, "2")
    assert (clone.root / ".gitignore").read_text(encoding="utf-8").endswith("/x\n")
    assert (clone.root / "mine.yaml").read_text(encoding="utf-8") == STUDY
    assert (clone.root / ".git/HEAD").read_text(encoding="utf-8") == "ref: refs/heads/main\n"
    assert not clone.run("git", "stash", "list")
    _nothing_double(clone)


def state(clone: Clone) -> tuple[bytes, str, str, str]:
    """Return what is the user's: params.yaml, the branch, git's stash, and what git says of the edited files."""
    return (
        (clone.root / "params.yaml").read_bytes(),
        (clone.root / ".git/HEAD").read_text(encoding="utf-8"),
        clone.run("git", "stash", "list"),
        clone.run("git", "status", "--short", "params.yaml", "mine.yaml", ".gitignore"),
    )


def kill(clone: Clone, after: float, *words: str, child: "subprocess.Popen[str] | None" = None) -> bool:
    """Kill a command, or one that was started, after some seconds; what it started has to end by itself.

    Returns:
        Whether it was killed, and had not ended before.

    Raises:
        AssertionError: if something is left running.
    """
    child = child or clone.start(*words, stdout=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=after)
    if is_killed := child.poll() is None:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    check_gone(clone.root)
    return is_killed


def check_gone(root: Path) -> None:
    """Check that all that works in a clone ends in two seconds."""
    killed = time.monotonic()
    with limits.within(GONE, time.monotonic):
        while (left := cell_clones.at_work_in(root)) and time.monotonic() - killed < clones.PATIENCE:
            time.sleep(processes.LOOK_EVERY / 4)
        assert not left, f"left running: {left}"


def _log(clone: Clone) -> Path:
    return Path(clone.environment[TRAININGS])


def _trainings(clone: Clone) -> list[list[str]]:
    """Return the lines of what trainings noted: begin, end or twice, the cell, the process."""
    lines = _log(clone).read_text(encoding="utf-8").splitlines() if _log(clone).exists() else []
    return [line.split() for line in lines]


def _nothing_double(clone: Clone) -> None:
    twice = [line for line in _trainings(clone) if line[0] == "twice"]
    assert not twice, f"at once: {twice}"
    with closing(sqlite3.connect(clone.root / "mlflow.db")) as database:
        words = "SELECT run_uuid, key, value FROM tags WHERE key IN (?, ?)"
        rows = database.execute(words, (labels.KEY, labels.REPEAT)).fetchall()
    runs: dict[str, dict[str, str]] = {}
    for run, key, value in rows:
        runs.setdefault(run, {})[key] = value
    shown = Counter((tags.get(labels.KEY), tags.get(labels.REPEAT)) for tags in runs.values())
    assert shown, "MLflow shows nothing"
    assert max(shown.values()) == 1, f"shown twice: {shown}"
    assert all(re.fullmatch("[0-9a-f]+", key or "") for key, _ in shown), shown
