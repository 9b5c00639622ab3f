"""A run made again as a job: submitted, attached to, read once; what stops it on its node is a line."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pipeline.commands import orbweaver, reproduce
from pipeline.core.errors import InputError
from pipeline.running import cell_clones, driving, rerun, rerun_job
from pipeline.running.executors import slurm, where
from pipeline.tracking import RunOrigin

ORIGIN = RunOrigin(repeats=[1, 2], commit="a" * 40, changes="", stages={}, records={}, machines={})
ANSWER = {"outputs": {"data/collected": "identical"}, "identical": True}
STAND_INS = {
    "sbatch": "echo x >> sbatch.txt; echo 7",
    "squeue": "cat queue",
    "scancel": "true",
    "scontrol": "false",
}
Ask = Callable[..., dict[str, Any] | None]


def git(*words: str) -> str:
    return subprocess.run(("git", *words), capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask for a run in a clone whose cluster has these stand-ins for SLURM's commands."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "clone").mkdir()
    for name, text in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\ncd {tmp_path}\n{text}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setattr(cell_clones, "cache_of", lambda root: root / ".dvc/cache")
    monkeypatch.setattr(slurm, "LOOK_EVERY", 0.01)
    git("init", "--quiet")
    Path("pipeline").mkdir()
    Path("pipeline/__init__.py").touch()
    git("add", "pipeline")
    git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "--message", "one")
    where.FILE.write_text(yaml.safe_dump({"slurm": {"cpus": 2, "scratch": str(tmp_path)}}), encoding="utf-8")
    (tmp_path / "queue").write_text("7_0 RUNNING None\n", encoding="utf-8")

    def asked(*, detach: bool = False) -> dict[str, Any] | None:
        return rerun_job.compared_on("slurm", Path.cwd(), "RUN", ORIGIN, reuse_data=True, detach=detach)

    return asked


def job_file() -> str:
    return str(next(Path().glob(".dvc/tmp/studies/reproduce-*/jobs/0000/0.json")).resolve())


def test_the_answer_of_a_node_is_shown_by_the_same_command_and_then_forgotten(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(detach=True) is None
    made: list[tuple[RunOrigin, bool]] = []

    def compared(_root: Path, recorded: RunOrigin, *, reuse_data: bool, place: Path) -> dict[str, Any]:
        assert place.is_dir()
        made.append((recorded, reuse_data))
        return ANSWER

    monkeypatch.setattr(rerun, "compared", compared)
    assert CliRunner().invoke(orbweaver, ["cell", job_file()], catch_exceptions=False).exit_code == 0
    assert "it is there" in CliRunner().invoke(orbweaver, ["cell", job_file()]).output
    assert made == [(ORIGIN, True)]
    (tmp_path / "queue").write_text("7_0 COMPLETED None\n", encoding="utf-8")
    assert ask() == ANSWER
    assert (tmp_path / "sbatch.txt").read_text(encoding="utf-8") == "x\n"
    assert not git("for-each-ref", "refs/orbweaver")
    assert not list(Path().glob(".dvc/tmp/studies/*/slurm.json"))


def test_a_job_that_failed_while_nobody_watched_says_why_once_and_is_then_submitted_again(
    ask: Ask, tmp_path: Path
) -> None:
    ask(detach=True)
    Path(job_file()).with_suffix(".log").write_text("orbweaver: error: no room\n", encoding="utf-8")
    (tmp_path / "queue").write_text("7_0 FAILED NonZeroExitCode\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"RUN: orbweaver: error: no room \(log: .*; the same command tries again"):
        ask(detach=True)
    assert ask(detach=True) is None
    assert (tmp_path / "sbatch.txt").read_text(encoding="utf-8") == "x\n" * 2


def test_a_second_command_attaches_to_a_job_that_runs(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(detach=True)

    def look(_: float) -> None:
        (tmp_path / "queue").write_text("7_0 TIMEOUT TimeLimit\n", encoding="utf-8")

    monkeypatch.setattr(driving, "time", SimpleNamespace(sleep=look))
    with pytest.raises(InputError, match=r"RUN: its time was over; give more `time` in where.yaml"):
        ask()
    assert (tmp_path / "sbatch.txt").read_text(encoding="utf-8") == "x\n"


def test_a_run_that_is_stopped_on_its_node_says_what_to_give_and_leaves_no_answer(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(detach=True)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt("SIGUSR1")

    monkeypatch.setattr(rerun, "compared", stopped)
    caught = CliRunner().invoke(orbweaver, ["cell", job_file()]).exception
    assert isinstance(caught, InputError)
    assert "stopped by SIGUSR1; a reproduction cannot resume: give it more `time` in where.yaml" in str(caught)
    assert not git("for-each-ref", rerun_job.ANSWERS)
    assert not list(Path("..").glob("orbweaver-*"))


def test_nodes_that_do_not_see_the_clone_are_refused_in_a_line(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerun_job, "named_remotes", lambda _: "remotes")
    with pytest.raises(
        InputError, match=r"^--on slurm: nodes reproduce RUN on the file system of this clone, and where\.yaml has"
    ):
        ask()
    assert not Path("../sbatch.txt").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--on", "slurm", "--keep"], "--keep: a node's clone is deleted; leave it out, or leave out --on"),
        (["--detach"], "--detach: cells on this machine end with the command; leave it out, or give --on slurm"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(
    words: list[str], message: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("params.yaml").touch()
    monkeypatch.setattr(reproduce, "look_up", lambda _root, _run: ORIGIN)
    caught = CliRunner().invoke(orbweaver, ["reproduce", "RUN", *words]).exception
    assert str(caught) == message
