"""A study whose cells are jobs, with stand-ins for SLURM's commands that run a job where it is submitted."""

import os
import re
import signal
from pathlib import Path

import clones
import psutil
import pytest
import torch
from clones import Clone

from pipeline.core import paths
from pipeline.core.stopping import STOPPED
from pipeline.running import cell_clones
from pipeline.running.executors import jobs
from pipeline.running.executors.jobs import Job

pytestmark = pytest.mark.slow
# All of an array at once, one after another; then nobody knows it any more.
SBATCH = """#!/bin/bash
script="${@: -1}"
for word in "$@"; do case "$word" in --array=*) last="${word##*-}" ;; esac; done
for number in $(seq 0 "$last"); do
  SLURM_ARRAY_TASK_ID=$number bash "$script" > "$(dirname "$script")/$number.log" 2>&1
done
echo $$
"""
SQUEUE = "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1\n"
WHERE = "slurm: {cpus: 1, scratch: $SCRATCH, device: cpu, environment: ['export SCRATCH=%s']}\n"
STUDY = "title: Mine\nset: {repeats: [1]}\ncells:\n  head: {set: {freeze: 1}}\n  two: {set: {freeze: 2}}\n"


@pytest.fixture
def mine(stubbed: Clone, tmp_path: Path) -> Clone:
    """A clone whose where.yaml names the stand-ins."""
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SQUEUE), ("scontrol", SQUEUE)):
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "scratch").mkdir()
    stubbed.environment["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{stubbed.environment['PATH']}"
    (stubbed.root / "where.yaml").write_text(WHERE % (tmp_path / "scratch"), encoding="utf-8")
    return stubbed


def test_jobs_run_the_users_changes_in_clones_of_their_own_and_leave_experiments(mine: Clone, tmp_path: Path) -> None:
    mine.params(threads="auto", device="auto")
    (mine.root / "mine.yaml").write_text(STUDY, encoding="utf-8")
    train = mine.root / "pipeline/stages/train.py"
    train.write_text(train.read_text(encoding="utf-8").replace("import sys", "import sys\n\nprint('edited')"))
    before = mine.run("git", "status", "--short")
    told = mine.run("orbweaver", "study", "run", "mine.yaml", "--on", "slurm")
    assert "study: each cell has -S device=cpu -S threads=1, which is part of what it is" in told
    assert "2 ran, 0 failed" in told
    assert "its page: orbweaver study report mine.yaml -S device=cpu -S threads=1\n" in told
    assert len(clones.experiments(mine)) == 2
    assert "edited" in (mine.root / ".dvc/tmp/studies/mine/two.log").read_text(encoding="utf-8")
    assert not list((tmp_path / "scratch").iterdir())
    assert mine.run("git", "status", "--short") == before
    assert not mine.run("git", "for-each-ref", "refs/orbweaver")
    assert not (mine.root / "mlflow.db").exists()


def test_a_run_is_made_again_by_a_job_from_nothing_and_its_answer_is_asked_for_once(
    mine: Clone, tmp_path: Path
) -> None:
    before = mine.run("git", "for-each-ref")
    told = mine.typed("orbweaver reproduce RUN_ID --on slurm", "--detach", put={"RUN_ID": "HEAD"})
    assert told.endswith("reproduce HEAD: goes on by itself; the same command shows its answer\n")
    log = next(mine.root.glob(".dvc/tmp/studies/reproduce-*/reproduce.log")).read_text(encoding="utf-8")
    assert sorted(clones.ran(log)) == sorted(clones.stages())
    told = mine.typed("orbweaver reproduce RUN_ID --on slurm", put={"RUN_ID": "HEAD"})
    assert "slurm: job" not in told
    assert "identical: all" in told.splitlines()[-1]
    assert not list((tmp_path / "scratch").iterdir())
    assert mine.run("git", "for-each-ref") == before


def test_a_training_whose_job_is_cancelled_has_a_checkpoint_of_the_step_at_which_it_was(
    clone: Clone, tmp_path: Path
) -> None:
    clone.params(budget=100_000)
    clone.commit()
    commit = clone.run("git", "rev-parse", "HEAD").strip()
    (tmp_path / "scratch").mkdir()
    job = Job(
        root=clone.root,
        cache=clone.root / ".dvc/cache",
        commit=commit,
        changes=commit,
        experiment=f"mine-long-{'0' * 12}",
        overrides=(),
        scratch=str(tmp_path / "scratch"),
    )
    jobs.write(job, tmp_path / "job.json")
    child = clone.start("orbweaver", "cell", str(tmp_path / "job.json"))
    assert child.stdout is not None
    next(line for line in child.stdout if line.startswith("epoch 3"))
    # As SLURM does: every process of the job has the signal, and the first of them passes it on.
    for process in [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]:
        process.send_signal(signal.SIGTERM)
    told = child.communicate(timeout=60)[0]
    assert child.returncode == STOPPED
    [where] = re.findall(
        r"^train: stopped by SIGTERM (in epoch \d+, after step \d of \d); the same", told, re.MULTILINE
    )
    [checkpoint] = (clone.root / paths.CHECKPOINTS).rglob("*.pt")
    assert torch.load(checkpoint, weights_only=True)["where"] == where
    assert not cell_clones.at_work_in(tmp_path / "scratch")
    assert not list((tmp_path / "scratch").iterdir())
