"""Variables of the user that SLURM's commands take for options: none hides a job, or changes what is read of it."""

from pathlib import Path

import pytest
import slurm_stand_ins
from slurm_stand_ins import Cluster, tasks

from pipeline.core.errors import InputError
from pipeline.running.executors import scheduler
from pipeline.running.executors.contract import State


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return slurm_stand_ins.made(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["SQUEUE_PARTITION", "SQUEUE_ACCOUNT", "SLURM_CLUSTERS"])
def test_a_filter_of_the_users_hides_no_job_that_runs(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cluster.edit("squeue", f'[ -z "${name}" ] || exit 0; ')
    cluster.queue("7_0 RUNNING None")
    monkeypatch.setenv(name, "first")
    executor, [task] = cluster.executor(), tasks("a")
    executor.submit(task)
    assert executor.state([task.experiment]) == {task.experiment: State("running")}
    # A later command attaches to it.
    later = cluster.executor()
    later.submit(task)
    later.state([task.experiment])
    assert len(cluster.called("sbatch")) == 1


def test_sbatch_neither_waits_nor_writes_errors_elsewhere_and_has_the_users_other_variables(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.edit("sbatch", "env > variables.txt; ")
    kept = {"SBATCH_QOS=long", "SLURM_CONF=/etc/slurm.conf", "SBATCH_WAIT_ALL_NODES=1"}
    ignored = {"SBATCH_WAIT=1", "SBATCH_ERROR=/tmp/error", "SBATCH_CLUSTERS=other", "SLURM_TIME_FORMAT=%d %b"}
    # Of a job that was queued again, and submits others.
    ignored |= {"SLURM_RESTART_COUNT=3"}
    for word in kept | ignored:
        monkeypatch.setenv(*word.split("="))
    scheduler.submit(cluster.root / "job.sh", count=1, at_once=0, after=[], options=[], name="mine")
    assert (kept | ignored) & set(cluster.called("variables")) == kept


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("sleep 20; ", r"no answer in 0 s"),
        # It had submitted them by then.
        (
            'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1; ',
            r"Batch job submission failed: Socket timed out on send/recv operation",
        ),
        ('echo "sbatch: error: Zero Bytes were transmitted or received" >&2; exit 1; ', r"Zero Bytes were .* received"),
    ],
)
def test_jobs_that_sbatch_may_have_submitted_without_an_answer_can_be_found(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, before: str, reason: str
) -> None:
    cluster.edit("sbatch", before)
    if "sleep" in before:
        monkeypatch.setattr(scheduler, "PATIENCE", 0.2)
    listed = "`squeue --me --name=orbweaver-mine` lists them"
    with pytest.raises(InputError, match=rf"^sbatch: {reason}; it may have submitted jobs .* {listed}"):
        scheduler.submit(cluster.root / "job.sh", count=1, at_once=0, after=[], options=[], name="orbweaver-mine")
