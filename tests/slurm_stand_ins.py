"""Stand-ins for SLURM's commands, beside a user's clone."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.running import cell_clones
from pipeline.running.executors import slurm, where
from pipeline.running.executors.contract import Request, Task
from pipeline.running.executors.slurm import Slurm

SETTINGS = where.Slurm(cpus=2, scratch="$TMPDIR", gres="gpu:1", partition="long", environment=("module load cuda",))
STAND_INS = {
    "sbatch": 'if [ -e refuses ]; then echo "sbatch: error: Invalid partition" >&2; exit 1; fi; '
    'n=$(($(cat jobs) + 1)); echo $n > jobs; echo "$@" >> sbatch.txt; echo "$n;cluster"',
    "squeue": 'if [ -e down ]; then echo "slurm_load_jobs error: Unable to contact" >&2; exit 1; fi; '
    'case "$*" in *running*) cat running ;; *) cat queue ;; esac',
    "scancel": 'echo "$@" >> scancel.txt; sed -i "s/ [A-Z]* / CANCELLED /" queue',
    "scontrol": 'echo "MaxArraySize            = 2"',
}


class Cluster:
    """A user's clone, and stand-ins for SLURM's commands that say what the test has them say."""

    def __init__(self, folder: Path) -> None:
        self.root, self.place = folder / "clone", folder / "slurm"
        self.lines: list[str] = []
        self.place.mkdir()
        for name, text in STAND_INS.items():
            (self.place / name).write_text(f"#!/bin/sh\ncd {self.place}\n{text}\n", encoding="utf-8")
            (self.place / name).chmod(0o755)
        (self.place / "jobs").write_text("6", encoding="utf-8")
        (self.place / "running").touch()
        self.queue()
        self.root.mkdir()
        self.git("init", "--quiet")
        (self.root / "file").write_text("committed", encoding="utf-8")
        (self.root / "pipeline").mkdir()
        (self.root / "pipeline/__init__.py").write_text("# committed", encoding="utf-8")
        self.git("add", "file", "pipeline")
        self.git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "--message", "one")

    def git(self, *words: str) -> str:
        done = subprocess.run(("git", *words), cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def queue(self, *lines: str) -> None:
        (self.place / "queue").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def called(self, name: str) -> list[str]:
        file = self.place / f"{name}.txt"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def finish(self, *tasks: Task) -> None:
        """What a node leaves: the experiment's reference."""
        for task in tasks:
            self.git("update-ref", f"refs/exps/aa/{'b' * 38}/{task.experiment}", "HEAD")

    def executor(self, jobs: int | None = None) -> Slurm:
        request = Request("mine", [], (), jobs, Path("logs"))
        return Slurm(self.root, request, SETTINGS, say=self.lines.append)

    def log(self, cell: str, text: str) -> None:
        (self.root / f"logs/{cell}.log").write_text(text, encoding="utf-8")

    def edit(self, name: str, before: str) -> None:
        """Have a stand-in do something first."""
        (self.place / name).write_text(f"#!/bin/sh\ncd {self.place}\n{before}{STAND_INS[name]}\n", encoding="utf-8")


def tasks(*groups: str) -> list[Task]:
    return [Task(f"c{n}", f"mine-c{n}-{n:012x}", ("freeze=1",), 1, "cuda", group) for n, group in enumerate(groups)]


def made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster whose commands are those on the PATH."""
    cluster = Cluster(folder)
    monkeypatch.setenv("PATH", f"{cluster.place}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(cell_clones, "cache_of", lambda root: root / ".dvc/cache")
    monkeypatch.setattr(slurm, "ENDING", 0.5)
    monkeypatch.setattr(slurm, "CANCELLED_EVERY", 0.1)
    return cluster
