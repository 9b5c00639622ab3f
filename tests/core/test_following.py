"""A stage ends with the DVC that runs it, here a program that starts a shell as DVC does."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.core import following
from pipeline.core.holding import held, holder

ROOT = Path(__file__).parents[2]
# Says its number and works on; the words after it stand for a stage's.
STAGE = f"{sys.executable} -c 'import os, time, pipeline.stages; print(os.getpid(), flush=True); time.sleep(60)'"
SHELLS = {
    "which it replaces": f"{STAGE} pipeline.stages.split 1",
    "which stays": f"{STAGE} pipeline.stages.split 1; true",
}

Start = Callable[..., tuple["subprocess.Popen[str]", int]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a DVC with a stage; gives it and the stage's number."""
    groups = []

    def started(shell: str, *, stage: str | None = "split@1") -> tuple["subprocess.Popen[str]", int]:
        environment = {key: value for key, value in os.environ.items() if key != following.STAGE}
        environment |= {"PYTHONPATH": str(ROOT), "COMMAND": shell} | ({following.STAGE: stage} if stage else {})
        dvc = subprocess.Popen(
            [sys.executable, "-c", "import os, subprocess; subprocess.run(['/bin/sh', '-c', os.environ['COMMAND']])"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        groups.append(dvc)
        assert dvc.stdout is not None
        return dvc, int(dvc.stdout.readline())

    yield started
    for dvc in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(dvc.pid, signal.SIGKILL)
        dvc.communicate()


def lives(process: int) -> bool:
    return psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE


def is_gone(process: int, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while lives(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not lives(process)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stage_ends_when_dvc_is_killed_whatever_shell_is_between_them(start: Start, shell: str) -> None:
    dvc, stage = start(SHELLS[shell])
    time.sleep(2 * following.LOOK_EVERY)
    assert lives(stage)
    os.kill(dvc.pid, signal.SIGKILL)
    assert is_gone(stage, seconds=2)
    assert dvc.communicate()[1].startswith("split@1: the DVC that started it has ended, so it ends too\n")


def test_a_stage_that_is_run_by_hand_follows_nobody(start: Start) -> None:
    dvc, stage = start(SHELLS["which it replaces"], stage=None)
    os.kill(dvc.pid, signal.SIGKILL)
    assert not is_gone(stage, seconds=3 * following.LOOK_EVERY)


def test_a_stage_whose_dvc_has_ended_before_it_looked_does_not_start(tmp_path: Path) -> None:
    environment = os.environ | {following.STAGE: "train@2", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", "import pipeline.stages"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, start_new_session=True, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        "train@2: the DVC that started it has ended, so it does not start\n",
    )


def test_a_stage_waits_for_the_one_that_a_killed_dvc_left(start: Start, tmp_path: Path) -> None:
    lock = tmp_path / following.LOCKS / "split@1.lock"
    with held(lock, "split@1", waiting=pytest.fail):
        shell = f"({STAGE} pipeline.stages.split 1) & echo 0; wait"
        dvc, _ = start(shell)
        assert dvc.stderr is not None
        assert dvc.stderr.readline().startswith(f"split@1: process {os.getpid()} (split@1) since ")
    assert dvc.stdout is not None
    assert lives(int(dvc.stdout.readline()))


# As `collect` and `preprocess`: their workers are spawned, and import the stage anew.
WITH_WORKERS = """
import multiprocessing
import pipeline.stages

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(pool.map(abs, [-1, -2]), flush=True)
"""


def test_the_workers_of_a_stage_do_not_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "stage.py").write_text(WITH_WORKERS, encoding="utf-8")
    shell = f"{sys.executable} stage.py pipeline.stages.collect"
    dvc = [sys.executable, "-c", "import os, subprocess; subprocess.run(['/bin/sh', '-c', os.environ['COMMAND']])"]
    environment = os.environ | {following.STAGE: "collect", "PYTHONPATH": str(ROOT), "COMMAND": shell}
    done = subprocess.run(
        dvc,
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("[1, 2]\n", "")


def test_who_holds_a_lock_is_named_while_it_is_held(tmp_path: Path) -> None:
    told = []
    code = (
        "import sys, pathlib\nfrom pipeline.core.holding import held\n"
        "with held(pathlib.Path(sys.argv[1]), 'study run table5', waiting=print):\n    print(1, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", code, tmp_path / "a" / "lock"]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()

        def waiting(who: str) -> None:
            told.append(who)
            os.kill(other.pid, signal.SIGKILL)

        with held(tmp_path / "a" / "lock", "study run table6", waiting=waiting):
            assert told[0].startswith(f"process {other.pid} (study run table5) since ")
            assert holder(tmp_path / "a" / "lock").startswith(f"process {os.getpid()} (study run table6) since ")
    assert holder(tmp_path / "a" / "lock") == "another process"


def test_a_group_whose_leader_begins_after_its_parent_has_ended_ends_too(tmp_path: Path) -> None:
    """As a study's cell that was still being imported when the study was killed."""
    code = (
        "import subprocess, time\nfrom pipeline.core.following import end_group_with_parent\n"
        f"child = subprocess.Popen(['sleep', '60'])\nend_group_with_parent({2**22 + 1})\nprint(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True) as leader:
        child = int(leader.communicate()[0] or 0)
    assert leader.returncode == -signal.SIGTERM
    assert not child or is_gone(child, seconds=2)
