"""Ctrl-C while jobs are submitted and cancelled, against the stand-ins of SLURM's commands."""

import signal
import sys
from pathlib import Path

import pytest
import slurm_stand_ins
from slurm_stand_ins import Cluster, tasks

from pipeline.core import stopping
from pipeline.running import cell_runs, driving
from pipeline.running.executors import scheduler

# Ctrl-C in the terminal of the command, while a command of SLURM's that was called by it is at work.
INTERRUPT = "kill -INT $PPID; sleep 0.5; "


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return slurm_stand_ins.made(tmp_path, monkeypatch)


def test_signals_wait_until_the_block_has_ended_and_an_error_goes_before_them() -> None:
    done: list[str] = []

    def act(error: Exception | None) -> None:
        with stopping.held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("goes on")
            if error:
                raise error

    for error, expected in ((None, KeyboardInterrupt), (ValueError(), ValueError)):
        with pytest.raises(expected):
            act(error)
    assert done == ["goes on"] * 2


def test_a_job_that_slurm_takes_during_ctrl_c_is_known_and_cancelled(cluster: Cluster) -> None:
    cluster.edit("sbatch", INTERRUPT)
    with pytest.raises(KeyboardInterrupt):
        list(driving.run(tasks("a"), cluster.executor(), on_trained=lambda _: None))
    assert cluster.called("scancel") == ["7_0"]
    assert not (cluster.root / "logs/slurm.json").exists()


def test_ctrl_c_while_cells_are_submitted_that_would_go_on_by_themselves_cancels_them(cluster: Cluster) -> None:
    cluster.edit("sbatch", INTERRUPT)
    with pytest.raises(KeyboardInterrupt):
        cell_runs.leave(cluster.executor(), tasks("a", "b", "b"))
    [line] = cluster.called("scancel")
    assert set(line.split()) == {"7_0", "7_1"}


def test_ctrl_c_during_scancel_does_not_reach_it_and_nobody_says_that_nothing_is_left(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    executor = cluster.executor()
    handles = [executor.submit(task) for task in tasks("a")]
    executor.state(handles)
    cluster.queue("7_0 RUNNING None")
    cluster.edit("scancel", INTERRUPT)
    with pytest.raises(SystemExit) as caught, cell_runs.holding(tmp_path / "lock", "study run mine", kind="study"):
        executor.cancel(handles)
    assert caught.value.code == 130
    assert cluster.called("scancel") == ["7_0"]
    said = "study: interrupted; jobs 7 are cancelled and may still be ending; `squeue -j 7` shows them\n"
    assert capsys.readouterr().err == said
    # A later command looks at it.
    assert (cluster.root / "logs/slurm.json").exists()


def test_a_terminals_ctrl_c_reaches_no_command_of_slurms(cluster: Cluster) -> None:
    cluster.edit("scontrol", f"{sys.executable} -c 'import os; print(os.getppid(), os.getsid(0))' > session.txt; ")
    scheduler.array_size()
    [line] = cluster.called("session")
    process, session = line.split()
    assert process == session
