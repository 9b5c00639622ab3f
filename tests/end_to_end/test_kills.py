"""`kill -9` of DVC and of studies, and several at once: nothing of the user's is lost, no process is left."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import clones
import limits
import psutil
import pytest
from clones import PATIENCE, Clone

from pipeline.running import cell_clones

pytestmark = pytest.mark.slow
MINE = "title: Mine\nset: {repeats: [1]}\ncells:\n  head: {set: {freeze: 1}}\n  two: {set: {freeze: 2}}\n"
SECONDS_LEFT = 2.0


@pytest.fixture
def edited(stubbed: Clone) -> Clone:
    """A clone with edits that are not committed, one of them staged, and a training that takes its time."""
    return edit(stubbed)


def edit(stubbed: Clone) -> Clone:
    file = stubbed.root / "pipeline/stages/train.py"
    slow = file.read_text(encoding="utf-8").replace(
        "    stubs.main", "    import time\n\n    time.sleep(2)\n    stubs.main"
    )
    file.write_text(slow, encoding="utf-8")
    stubbed.commit()
    params = stubbed.root / "params.yaml"
    params.write_text("# mine\n" + params.read_text(encoding="utf-8"), encoding="utf-8")
    (stubbed.root / "mine.yaml").write_text(MINE, encoding="utf-8")
    stubbed.run("git", "add", "mine.yaml")
    return stubbed


def state(clone: Clone) -> tuple[bytes, str, str, str]:
    return (
        (clone.root / "params.yaml").read_bytes(),
        (clone.root / ".git/HEAD").read_text(encoding="utf-8"),
        clone.run("git", "stash", "list"),
        clone.run("git", "status", "--short", "params.yaml", "mine.yaml"),
    )


def wait(until: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def trains(root: Path) -> bool:
    for process in cell_clones.at_work_in(root):
        # One may end while it is looked at.
        with contextlib.suppress(psutil.Error):
            if "pipeline.stages.train" in process.cmdline():
                return True
    return False


def is_killed(clone: Clone, child: "subprocess.Popen[str]", *, after: float) -> bool:
    """Kill it after some seconds, and whatever it started has to end by itself; false where it had ended before."""
    time.sleep(after)
    if child.poll() is not None:
        child.communicate()
        return False
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with limits.within(SECONDS_LEFT, time.monotonic):
        wait(lambda: not cell_clones.at_work_in(clone.root))
    return True


def test_a_stage_is_gone_in_two_seconds_when_its_dvc_is_killed_and_the_next_run_goes_on(edited: Clone) -> None:
    edited.params(freeze="2")
    child = edited.start("dvc", "repro")
    wait(lambda: trains(edited.root))
    assert is_killed(edited, child, after=0.5)
    told = edited.run("bash", "-c", "python -m pipeline.recovery.mending && dvc repro")
    assert "Stage 'validate' didn't change" in told
    assert "Running stage 'report'" in told


def test_a_study_that_is_killed_at_any_moment_leaves_params_yaml_and_goes_on(edited: Clone) -> None:
    before, draw = state(edited), random.Random(1)
    # `make faults` tries more of them.
    moments = [draw.uniform(1, 8) for _ in range(3)]
    killed = [is_killed(edited, edited.start("orbweaver", "study", "run", "mine.yaml"), after=one) for one in moments]
    assert any(killed)
    assert state(edited) == before
    told = edited.run("orbweaver", "study", "run", "mine.yaml")
    assert "0 failed" in told
    assert state(edited) == before
    assert len(clones.experiments(edited)) == 2
    assert not list((edited.root / cell_clones.PLACE).iterdir())


def test_a_second_study_waits_for_the_first_and_trains_nothing_again_and_ctrl_c_ends_the_waiting_alone(
    edited: Clone,
) -> None:
    first = edited.start("orbweaver", "study", "run", "mine.yaml")
    wait(lambda: trains(edited.root))
    second = edited.start("orbweaver", "study", "run", "mine.yaml")
    assert second.stdout is not None
    assert "waiting for it" in second.stdout.readline()
    os.kill(second.pid, signal.SIGINT)
    assert "no longer waiting; the other goes on" in second.communicate()[0]
    assert second.returncode == 130
    told = edited.run("orbweaver", "study", "run", "mine.yaml")
    assert f"study: process {first.pid} (study run mine) since " in told
    assert "2 cells were there, 0 ran, 0 failed" in told
    assert "0 cells were there, 2 ran, 0 failed" in first.communicate()[0]


def test_a_killed_reproduction_trains_no_longer_and_the_next_removes_its_clone(edited: Clone, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    edited.environment["TMPDIR"] = str(temporary)
    edited.run("dvc", "exp", "run", "--name", "mine")
    child = edited.start("orbweaver", "reproduce", "mine")
    wait(lambda: trains(temporary))
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    with limits.within(SECONDS_LEFT, time.monotonic):
        wait(lambda: not cell_clones.at_work_in(temporary))
    [clone] = temporary.glob("orbweaver-*")
    told = edited.run("orbweaver", "reproduce", "mine")
    assert told.startswith(f"orbweaver: {clone}: temporary clone of a command that was killed: removed\n")
    assert "identical: all" in told.splitlines()[-1]
    assert not list(temporary.glob("orbweaver-*"))


def test_after_a_killed_experiment_doctor_brings_the_users_settings_back(edited: Clone) -> None:
    before, draw = state(edited), random.Random(2)
    for _ in range(3):
        child = edited.start("dvc", "exp", "run", "-S", "freeze=2")
        if is_killed(edited, child, after=draw.uniform(0.7, 4)):
            edited.run("orbweaver", "doctor", "--mend")
            assert state(edited) == before
    assert "Ran experiment(s)" in edited.run("dvc", "exp", "run", "-S", "freeze=2")


def test_four_workers_of_dvcs_queue_finish_all(queueing: Clone) -> None:
    edited = edit(queueing)
    edited.run("dvc", "exp", "run", "--queue", "-S", "freeze=1,2,3a,3b")
    edited.run("dvc", "queue", "start", "-j", "4")
    clones.work_off_the_queue(edited, 4)
    assert len(clones.experiments(edited)) == 4
