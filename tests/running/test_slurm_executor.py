"""The executor of SLURM against stand-ins for sbatch, squeue, scancel and scontrol: submissions and every end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import slurm_stand_ins
import tiny
import yaml
from click.testing import CliRunner
from slurm_stand_ins import Cluster, tasks

from pipeline.commands import orbweaver, worker
from pipeline.core.errors import InputError
from pipeline.running import driving
from pipeline.running.executors import job_states, local, scheduler, slurm, where
from pipeline.running.executors.contract import Request, State, Task
from pipeline.running.executors.jobs import Job
from pipeline.running.executors.slurm import Slurm
from pipeline.running.executors.submitted import Submitted
from pipeline.running.remotes import Remotes


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return slurm_stand_ins.made(tmp_path, monkeypatch)


def begun(cluster: Cluster, *groups: str, jobs: int | None = None) -> tuple[Slurm, list[Task], list[str]]:
    executor, listed = cluster.executor(jobs), tasks(*groups)
    handles = [executor.submit(task) for task in listed]
    executor.state(handles)
    return executor, listed, handles


def test_one_cell_of_each_group_goes_first_and_arrays_are_as_long_as_the_cluster_takes(cluster: Cluster) -> None:
    begun(cluster, "a", "a", "b", "a", "a", jobs=3)
    arrays = cluster.called("sbatch")
    assert [line.split()[1] for line in arrays] == ["--array=0-1%3", "--array=0-1%3", "--array=0-0%3"]
    assert ["--dependency" in line for line in arrays] == [False, True, True]
    assert "--dependency=afterany:7 " in arrays[1]
    assert "--dependency=afterany:8 " in arrays[2]
    words = arrays[0].split()
    always = {"--parsable", "--requeue", "--open-mode=append", "--signal=B:USR1@120", "--cpus-per-task=2"}
    assert {*always, "--partition=long", "--gres=gpu:1"} <= set(words)
    jobs = json.loads((cluster.root / "logs/slurm.json").read_text(encoding="utf-8"))
    assert [[name.split("-")[1] for name in names] for names, _ in jobs.values()] == [
        ["c0", "c2"],
        ["c1", "c3"],
        ["c4"],
    ]
    assert (cluster.root / "logs/c2.log").readlink() == cluster.root / "logs/jobs/0000/1.log"


def test_a_percent_sign_in_the_folders_name_is_none_of_slurms_patterns(cluster: Cluster) -> None:
    folder = cluster.root / "50%a"
    scheduler.submit(folder / "job.sh", count=1, at_once=0, after=[], options=[], name="mine")
    [words] = [line.split() for line in cluster.called("sbatch")]
    assert f"--output={cluster.root}/50%%a/%a.log" in words
    assert f"--chdir={folder}" in words


def test_without_a_limit_all_arrays_wait_for_the_first_cells_alone(cluster: Cluster) -> None:
    begun(cluster, *"abcaaa")
    arrays = [line.rpartition("--dependency=")[2].split()[0] for line in cluster.called("sbatch")]
    assert arrays[2:] == ["afterany:7:8", "afterany:7:8"]


def test_the_jobs_of_all_cells_are_listed_once_a_change_and_not_for_each_cell(tmp_path: Path) -> None:
    submitted = Submitted(tmp_path / "slurm.json")
    submitted.add("7", ["a", "b"], "")
    assert submitted.places is submitted.places
    submitted.add("8", ["b", "c"], "")
    assert submitted.places == Submitted(tmp_path / "slurm.json").places == {"a": "7_0", "b": "8_0", "c": "8_1"}
    submitted.keep({"7"})
    assert submitted.places == {"a": "7_0", "b": "7_1"}


def test_a_job_has_the_commit_the_uncommitted_changes_and_all_places(cluster: Cluster) -> None:
    (cluster.root / "file").write_text("edited", encoding="utf-8")
    executor, _, handles = begun(cluster, "a")
    folder = cluster.root / "logs/jobs/0000"
    job = Job.model_validate_json((folder / "0.json").read_text(encoding="utf-8"))
    assert (job.root, job.cache, job.scratch) == (cluster.root, cluster.root / ".dvc/cache", "$TMPDIR")
    assert job.commit == cluster.git("rev-parse", "HEAD")
    assert cluster.git("show", f"{job.changes}:file") == "edited"
    assert cluster.git("for-each-ref", "--format=%(objectname)", "refs/orbweaver") == job.changes
    assert "module load cuda\n" in (folder / "job.sh").read_text(encoding="utf-8")
    executor.cancel(handles)
    assert not cluster.git("for-each-ref", "refs/orbweaver")


@pytest.mark.parametrize("before", ["edited", ""])
def test_a_file_that_is_edited_after_the_executor_was_made_reaches_no_job(cluster: Cluster, before: str) -> None:
    file = cluster.root / "file"
    file.write_text(before or file.read_text(encoding="utf-8"), encoding="utf-8")
    at_first, executor = file.read_text(encoding="utf-8").strip(), cluster.executor()
    file.write_text("edited once more", encoding="utf-8")
    executor.state([executor.submit(task) for task in tasks("a")])
    job = Job.model_validate_json((cluster.root / "logs/jobs/0000/0.json").read_text(encoding="utf-8"))
    assert cluster.git("show", f"{job.changes}:file") == at_first
    assert bool(cluster.git("for-each-ref", "refs/orbweaver")) == bool(before)


def test_a_file_of_which_the_time_alone_has_changed_is_no_change(cluster: Cluster) -> None:
    os.utime(cluster.root / "file", (0, 0))
    begun(cluster, "a")
    assert len(cluster.called("sbatch")) == 1
    assert not cluster.git("for-each-ref", "refs/orbweaver")


def test_what_nodes_clone_is_in_gits_remote_until_the_jobs_have_ended_also_where_all_is_committed(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare.git"
    cluster.git("init", "--quiet", "--bare", str(bare))
    remotes = Remotes(git=str(bare), dvc="storage", options={"url": "s3://bucket/x"})
    monkeypatch.setattr(slurm, "named_remotes", lambda _: remotes)

    def kept() -> str:
        return cluster.git("--git-dir", str(bare), "for-each-ref", "--format=%(objectname) %(refname)")

    executor, _, handles = begun(cluster, "a")
    job = Job.model_validate_json((cluster.root / "logs/jobs/0000/0.json").read_text(encoding="utf-8"))
    assert kept() == f"{cluster.git('rev-parse', 'HEAD')} {job.reference}"
    assert job.changes == job.commit
    executor.cancel(handles)
    assert not kept()
    # A remote that does not answer is said once, and must not hide how the study ended.
    executor, _, handles = begun(cluster, "a")
    bare.rename(tmp_path / "away.git")
    executor.state(handles)
    executor.state(handles)
    assert len([line for line in cluster.lines if line.endswith("; asked again")]) == 1
    executor.cancel(handles)
    assert "below refs/orbweaver/changes/ stays what no job needs any more" in cluster.lines[-1]


def test_waiting_and_its_reasons_are_shown_once(cluster: Cluster) -> None:
    executor, _, handles = begun(cluster, "a", "b")
    cluster.queue("7_0 PENDING Resources", "7_1 RUNNING None")
    states = executor.state(handles)
    assert list(states.values()) == [State("waiting", "Resources"), State("running")]
    executor.state(handles)
    assert cluster.lines.count("1 run, 1 wait (1 Resources)") == 1


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ("PENDING JobHeldUser", "(1 JobHeldUser: `scontrol release` lets it begin)"),
        ("PENDING PartitionConfig", "(1 PartitionConfig: no node of its partition has what where.yaml asks for"),
        ("REQUEUE_HOLD JobHeldUser", "(1 JobHeldUser: `scontrol release` lets it begin)"),
        ("SPECIAL_EXIT JobHeldUser", "(1 JobHeldUser: `scontrol release` lets it begin)"),
        ("PENDING JobHeldAdmin", "(1 JobHeldAdmin: an administrator holds it)"),
        ("PENDING JobHoldMaxRequeue", "it was queued again too often; `scontrol release` lets it begin)"),
        ("PENDING launch failed requeued held", "requeued held: its node could not start it; `scontrol release` tries"),
        ("PENDING launch_failed_requeued_held", "its node could not start it; `scontrol release` tries again)"),
        ("PENDING PartitionTimeLimit", "(1 PartitionTimeLimit: its partition allows less `time` than where.yaml has)"),
    ],
)
def test_a_job_that_waits_for_a_person_says_what_to_do(state: str, line: str, cluster: Cluster) -> None:
    executor, _, handles = begun(cluster, "a")
    cluster.queue(f"7_0 {state}")
    assert executor.state(handles)[handles[0]].phase == "waiting"
    assert line in cluster.lines[-1]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("TIMEOUT TimeLimit", "its time was over; give more `time` in where.yaml (SLURM: TIMEOUT; log: "),
        ("OUT_OF_MEMORY OutOfMemory", "its memory was not enough; give more `memory` in where.yaml (SLURM: OUT_OF_M"),
        ("NODE_FAIL NodeFail", "its node failed (SLURM: NODE_FAIL"),
        ("CANCELLED None", "it was cancelled (SLURM: CANCELLED"),
        ("BOOT_FAIL None", "its node did not start (SLURM: BOOT_FAIL"),
        ("DEADLINE None", "its deadline was over (SLURM: DEADLINE"),
        ("PREEMPTED None", "another job took its place (SLURM: PREEMPTED"),
        ("FAILED NonZeroExitCode", "train: error: no room (log: "),
    ],
)
def test_a_job_that_ended_without_its_experiment_has_failed(state: str, reason: str, cluster: Cluster) -> None:
    executor, _, handles = begun(cluster, "a")
    cluster.log("c0", "train: error: no room\nERROR: failed to reproduce\n")
    cluster.queue(f"7_0 {state}")
    ((_, failed),) = executor.state(handles).items()
    assert failed.phase == "failed"
    assert failed.reason.startswith(reason)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "ERROR: failed to reproduce 'train@1': failed to run: python -m x, exited with -9",
            "; if it was for want of memory, give more `memory` in where.yaml",
        ),
        ("orbweaver: error: mine-c0: its node, or another job, ended it 3 times; the lines above say where", "c0.log)"),
    ],
)
def test_what_slurm_calls_a_failure_alone_is_said_by_the_log(log: str, reason: str, cluster: Cluster) -> None:
    executor, _, handles = begun(cluster, "a")
    cluster.log("c0", f"Running stage 'train@1':\n{log}\n")
    cluster.queue("7_0 FAILED NonZeroExitCode")
    failed = executor.state(handles)[handles[0]]
    assert failed.phase == "failed"
    assert failed.reason.startswith(log)
    assert failed.reason.endswith(reason)


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("*** JOB 7 ON n17 CANCELLED AT 2026-02-03T04:05:06 ***", "CANCELLED"),
        ("*** STEP 7.0 ON n17 CANCELLED AT 2026-02-03T04:05:06 DUE TO TIME LIMIT ***", "TIMEOUT"),
        ("*** JOB 7 ON n17 CANCELLED AT 2026-02-03T04:05:06 DUE TO PREEMPTION ***", "PREEMPTED"),
        ("*** JOB 7 ON n17 CANCELLED AT 2026-02-03T04:05:06 DUE TO NODE FAILURE, SEE SLURMCTLD LOG ***", "NODE_FAIL"),
        ("Detected 1 oom-kill event(s) in StepId=7.batch", ""),
    ],
)
def test_why_slurm_ended_a_job_is_said_from_the_log_after_slurm_has_forgotten_it(
    line: str, state: str, cluster: Cluster
) -> None:
    executor, listed, _ = begun(cluster, "a")
    cluster.log("c0", f"Running stage 'train@1':\ntrain: error: no room\nslurmstepd-n1: error: {line}\n")
    cluster.queue("7_0 FAILED NonZeroExitCode")
    executor.state([listed[0].experiment])
    cluster.queue()
    words = f"{scheduler.ENDS[state]} (SLURM: {state}; log: " if state else f"slurmstepd-n1: error: {line} (log: "
    assert shown(cluster, listed)["c0"].reason.startswith(words)


def test_a_failed_cell_is_not_submitted_again_by_itself_and_the_others_go_on(cluster: Cluster) -> None:
    executor, listed = cluster.executor(), tasks("a", "b")
    executor.look_every = 0.0

    def look(_: int) -> None:
        cluster.queue("7_0 FAILED NonZeroExitCode", "7_1 RUNNING None")
        if cluster.called("sbatch"):
            cluster.log("c0", "train: error: no room\n")
            cluster.finish(listed[1])

    ended = {one.task.cell: one.failure for one in driving.run(listed, executor, on_trained=look)}
    assert ended["c0"].startswith("train: error: no room")
    assert ended["c1"] == ""
    assert len(cluster.called("sbatch")) == 1
    assert not (cluster.root / "logs/slurm.json").exists()


def test_a_cell_is_finished_when_its_experiment_is_there_whatever_its_job_is(cluster: Cluster) -> None:
    executor, listed, handles = begun(cluster, "a", "b")
    cluster.finish(*listed)
    cluster.queue("7_0 FAILED NonZeroExitCode")
    assert {state.phase for state in executor.state(handles).values()} == {"finished"}


def test_a_job_that_ended_well_has_a_while_until_its_experiment_is_seen(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, _, handles = begun(cluster, "a", "b")
    cluster.queue("7_0 COMPLETED None")
    assert {state.phase for state in executor.state(handles).values()} == {"running"}
    monkeypatch.setattr(slurm, "SETTLE", 0.0)
    first, second = executor.state(handles).values()
    assert first.reason.startswith("its job has ended and left no experiment (SLURM: COMPLETED)")
    assert second.reason.startswith("its job has ended and left no experiment (SLURM: gone)")


def test_a_job_that_is_queued_again_after_its_node_died_waits_and_runs(cluster: Cluster) -> None:
    executor, _, handles = begun(cluster, "a")
    for state, phase in (("RUNNING None", "running"), ("PENDING BeginTime", "waiting"), ("COMPLETING None", "running")):
        cluster.queue(f"7_0 {state}")
        assert executor.state(handles)[handles[0]].phase == phase


def test_a_scheduler_that_does_not_answer_changes_nothing(cluster: Cluster) -> None:
    executor, _, handles = begun(cluster, "a")
    cluster.queue("7_0 PENDING Priority")
    executor.state(handles)
    (cluster.place / "down").touch()
    assert executor.state(handles)[handles[0]] == State("waiting", "Priority")
    assert any("Unable to contact" in line for line in cluster.lines)


def test_a_scheduler_that_answers_for_none_of_the_jobs_calls_none_failed_and_forgets_none(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "SETTLE", 0.0)
    executor, listed = cluster.executor(), tasks("a")
    handles = [executor.submit(task) for task in listed]
    (cluster.place / "down").touch()
    for _ in range(2):
        assert executor.state(handles)[handles[0]] == State("waiting", "squeue does not answer")
    assert sum("Unable to contact" in line for line in cluster.lines) == 1
    executor.cancel([])
    assert (cluster.root / "logs/slurm.json").exists()
    (cluster.place / "down").unlink()
    cluster.queue("7_0 RUNNING None")
    assert executor.state(handles)[handles[0]] == State("running")
    # A job that is gone has failed by an answer alone.
    monkeypatch.setattr(slurm, "SETTLE", 90.0)
    cluster.queue()
    assert executor.state(handles)[handles[0]] == State("running")
    monkeypatch.setattr(slurm, "SETTLE", 0.0)
    (cluster.place / "down").touch()
    assert executor.state(handles)[handles[0]] == State("running")
    (cluster.place / "down").unlink()
    assert executor.state(handles)[handles[0]].phase == "failed"


def test_jobs_that_nobody_can_ask_for_are_not_submitted_twice(cluster: Cluster) -> None:
    begun(cluster, "a")
    (cluster.place / "down").touch()
    with pytest.raises(InputError, match="cells may be running there, so try again when it answers"):
        cluster.executor()


def shown(cluster: Cluster, listed: list[Task]) -> dict[str, State]:
    left = {task.cell: task.experiment for task in listed}
    return job_states.of_study(cluster.root / "logs", left, cluster.lines.append, planned=set(left.values()))


def test_jobs_of_before_an_edit_are_named_with_what_ends_them(cluster: Cluster) -> None:
    """They go on by themselves, and no cell of the study as it is now has them."""
    _, [one, other, last], _ = begun(cluster, *"abc")
    cluster.queue("7_0 RUNNING None", "7_1 PENDING Resources", "8_0 TIMEOUT None")
    line = "2 jobs of before an edit, of no cell as it is now; `scancel 7_0 7_1` ends them"
    edited = [task._replace(experiment=f"{task.experiment[:-1]}f") for task in (one, other)]
    shown(cluster, [*edited, last])
    assert cluster.lines[-1] == line
    executor = cluster.executor()
    executor.submit(edited[0])
    executor.state([edited[0].experiment])
    assert line in cluster.lines[-4:]
    # A job that has left its experiment ends by itself.
    cluster.finish(one)
    executor = cluster.executor()
    executor.submit(edited[1])
    executor.state([edited[1].experiment])
    assert "1 job of before an edit, of no cell as it is now; `scancel 7_1` ends it" in cluster.lines[-4:]


def test_a_job_that_is_ending_is_waited_for_and_its_cell_submitted_again(cluster: Cluster) -> None:
    _, listed, [handle] = begun(cluster, "a")
    cluster.queue("7_0 COMPLETING None")
    cluster.edit(
        "squeue", 'echo >> asked; if [ $(wc -l < asked) = 3 ]; then sed -i "s/COMPLETING/CANCELLED/" queue; fi; '
    )
    executor = cluster.executor()
    assert cluster.lines[-1] == "job 7: still ending; waited for"
    executor.submit(listed[0])
    executor.state([handle])
    assert len(cluster.called("sbatch")) == 2


def test_what_was_left_to_itself_is_shown_to_wait_to_run_or_to_have_failed(cluster: Cluster) -> None:
    _, listed, _ = begun(cluster, *"abcde")
    (cluster.place / "running").write_text("7_1 2026-02-03T04:05:06 n17\n", encoding="utf-8")
    cluster.queue("7_0 PENDING Resources", "7_1 RUNNING None", "8_0 TIMEOUT TimeLimit", "9_0 COMPLETED None")
    cluster.log("c3", "Running stage 'train@1':\ntrain: error: no room\nERROR: failed to reproduce\n")
    states = shown(cluster, [*listed, Task("other", f"mine-other-{'f' * 12}", (), 1)])
    assert states == {
        "c0": State("waiting", "Resources"),
        "c1": State("running", "since 2026-02-03 04:05:06 on n17"),
        "c2": State("failed", f"{scheduler.ENDS['TIMEOUT']} (SLURM: TIMEOUT; log: {cluster.root}/logs/c2.log)"),
        "c3": State("failed", f"train: error: no room (log: {cluster.root}/logs/c3.log)"),
        "c4": State("running", "its job has ended well; its experiment is not seen here yet"),
    }
    (cluster.place / "down").touch()
    assert shown(cluster, listed) == {}
    assert cluster.lines[-1].endswith("Unable to contact; what jobs 7, 8, 9 do is not known")


def test_what_failed_while_a_command_watched_is_shown_until_its_settings_change(cluster: Cluster) -> None:
    executor, listed, handles = begun(cluster, "a", "b")
    cluster.log("c0", "train: error: no room\n")
    cluster.log("c1", "train: stopped by SIGTERM in epoch 1, after step 2 of 4; the same command goes on from here\n")
    cluster.queue("7_0 FAILED NonZeroExitCode", "7_1 CANCELLED None")
    executor.state(handles)
    executor.cancel([])
    assert list(shown(cluster, listed)) == ["c0"]
    assert shown(cluster, [listed[0]._replace(experiment=f"mine-c0-{'f' * 12}")]) == {}


def test_what_jobs_were_to_clone_is_kept_no_longer_where_slurm_refuses_the_first(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare.git"
    cluster.git("init", "--quiet", "--bare", str(bare))
    (cluster.root / "file").write_text("edited", encoding="utf-8")
    (cluster.place / "refuses").touch()
    for remotes in (None, Remotes(git=str(bare), dvc="storage", options={"url": "s3://bucket/x"})):
        monkeypatch.setattr(slurm, "named_remotes", lambda _, remotes=remotes: remotes)
        with pytest.raises(InputError, match="sbatch: Invalid partition"):
            begun(cluster, "a")
        assert not cluster.git("for-each-ref", "refs/orbweaver")
    assert not cluster.git("--git-dir", str(bare), "for-each-ref")


@pytest.mark.parametrize(
    ("refusal", "is_limit"),
    [
        ("QOSMaxSubmitJobPerUserLimit", True),
        ("AssocMaxSubmitJobLimit", True),
        ("Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size)", True),
        ("Batch job submission failed: Invalid partition name specified", False),
    ],
)
def test_more_jobs_than_the_cluster_takes_are_to_be_split_into_several_studies(
    refusal: str, is_limit: bool, cluster: Cluster
) -> None:
    cluster.edit("sbatch", f'echo "sbatch: error: {refusal}" >&2; exit 1; ')
    with pytest.raises(InputError) as caught:
        begun(cluster, "a", "b")
    assert refusal in str(caught.value)
    assert ("than the 2 of this array and those in the queue, split the study into several" in str(caught.value)) == (
        is_limit
    )
    assert str(caught.value).endswith("see `slurm` in where.yaml, and run the same command again")


def test_what_living_jobs_need_stays_where_slurm_refuses_more(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all is committed, those of both commands clone one reference of git's remote."""
    bare = tmp_path / "bare.git"
    cluster.git("init", "--quiet", "--bare", str(bare))
    monkeypatch.setattr(slurm, "named_remotes", lambda _: Remotes(git=str(bare), dvc="storage", options={}))
    begun(cluster, "a")
    cluster.queue("7_0 RUNNING None")
    (cluster.place / "refuses").touch()
    with pytest.raises(InputError, match="Invalid partition"):
        begun(cluster, "a", "b")
    assert cluster.git("--git-dir", str(bare), "for-each-ref")


def test_a_second_command_attaches_to_what_lives_and_submits_the_rest(cluster: Cluster) -> None:
    begun(cluster, "a", "b")
    cluster.queue("7_0 RUNNING None", "7_1 TIMEOUT TimeLimit")
    executor, _, handles = begun(cluster, "a", "b")
    assert "attached to job 7: 1 cell; Ctrl-C cancels it" in cluster.lines
    assert [line.split()[1] for line in cluster.called("sbatch")] == ["--array=0-1", "--array=0-0"]
    cluster.queue("7_0 RUNNING None", "8_0 RUNNING None")
    assert {state.phase for state in executor.state(handles).values()} == {"running"}


def test_cancelling_ends_the_jobs_and_leaves_those_of_other_words(cluster: Cluster) -> None:
    executor, listed, _ = begun(cluster, "a")
    cluster.queue("7_0 RUNNING None")
    other = Task("other", f"mine-other-{'f' * 12}", (), 1, "cuda", "a")
    executor = cluster.executor()
    executor.state([executor.submit(other)])
    cluster.queue("7_0 RUNNING None", "8_0 COMPLETED None")
    executor.cancel([])
    assert json.loads((cluster.root / "logs/slurm.json").read_text(encoding="utf-8")) == {
        "7": [[listed[0].experiment], ""]
    }
    executor.cancel([listed[0].experiment])
    assert cluster.called("scancel") == ["7_0"]
    assert not (cluster.root / "logs/slurm.json").exists()


def test_jobs_that_wait_for_others_are_cancelled_before_these(cluster: Cluster) -> None:
    (cluster.place / "jobs").write_text("8", encoding="utf-8")
    executor, _, handles = begun(cluster, "a", "a")
    cluster.queue("9_0 RUNNING None", "10_0 PENDING Dependency")
    executor.cancel(handles)
    assert cluster.called("scancel") == ["10_0 9_0"]


def test_jobs_that_do_not_end_when_cancelled_are_named(cluster: Cluster) -> None:
    executor, _, handles = begun(cluster, "a")
    (cluster.place / "scancel").write_text("#!/bin/sh\n", encoding="utf-8")
    cluster.queue("7_0 COMPLETING None")
    with pytest.raises(
        InputError, match=r"^jobs 7: cancelled, but still running after \d+ s; `squeue -j 7` shows them$"
    ):
        executor.cancel(handles)


def test_a_node_that_does_not_see_the_environment_says_so_in_a_line(cluster: Cluster) -> None:
    begun(cluster, "a")
    script = cluster.root / "logs/jobs/0000/job.sh"
    text = script.read_text(encoding="utf-8").replace("module load cuda", "true")
    script.write_text(text.replace(sys.executable, "/nowhere/python"), encoding="utf-8")
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": "0"}
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "does not see /nowhere/python; clone and environment have to be on a file system" in done.stderr


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    monkeypatch.chdir(folder)
    values = {"cpus": 2, "scratch": "/tmp"} | settings
    where.FILE.write_text(yaml.safe_dump({"slurm": values}), encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cpu": 3}, "where.yaml: unknown key 'slurm.cpu'; did you mean 'cpus'?"),
        ({"cpus": 0}, "where.yaml: slurm.cpus: 0: "),
        ({"partition": "a b"}, "where.yaml: slurm.partition: 'a b': one word is needed"),
        ({"scratch": "scratch"}, "where.yaml: slurm.scratch: 'scratch': an absolute path is needed"),
        ({"environment": ["a\nb"]}, "one line is needed"),
        ({"device": "tpu"}, "where.yaml: slurm.device: 'tpu' is not one of"),
        ({"at_once": -1}, "where.yaml: slurm.at_once: -1: "),
    ],
)
def test_a_mistake_in_where_yaml_is_one_line(
    settings: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, monkeypatch, **settings)
    with pytest.raises(InputError) as caught:
        where.read()
    assert message in str(caught.value)


def request(*sets: str, **settings: object) -> Request:
    recipe = tiny.experiment().model_copy(update={"device": "auto", "threads": "auto"} | settings)
    return Request("mine", [recipe], sets, None, Path("logs"))


def test_device_and_threads_are_definite_before_anything_is_submitted(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, monkeypatch, gres="gpu:1")
    assert slurm.prepare(request()).words == ("device=cuda", "threads=2")
    assert slurm.prepare(request("threads=4", threads=4)).words == ("device=cuda",)
    with pytest.raises(InputError, match="-S threads=auto: each node would choose its own"):
        slurm.prepare(request("threads=auto"))
    two = request()._replace(recipes=[*request().recipes, *request(threads=3).recipes])
    with pytest.raises(InputError, match="threads: auto in some cells, and a value in others"):
        slurm.prepare(two)
    written(tmp_path, monkeypatch)
    with pytest.raises(InputError, match=r"where.yaml: slurm.device: auto needs a GPU in gres"):
        slurm.prepare(request())
    assert slurm.prepare(request("device=cpu", device="cpu")).words == ("threads=2",)


def test_without_sbatch_or_where_yaml_the_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(InputError, match="--on slurm: sbatch: not on the PATH; run this on a login node"):
            slurm.prepare(request())
    monkeypatch.setattr(scheduler, "check", lambda: None)
    with pytest.raises(InputError, match=r"where.yaml: no such file; `orbweaver study where --init` writes one"):
        slurm.prepare(request())
    with pytest.raises(InputError, match="--detach: cells on this machine end with the command"):
        local.prepare(request()._replace(detach=True))


def test_the_where_yaml_that_is_written_is_one_and_is_never_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(orbweaver, ["study", "where", "--init"]).exit_code == 0
    assert where.read().slurm.scratch == "$TMPDIR"
    assert isinstance(CliRunner().invoke(orbweaver, ["study", "where", "--init"]).exception, InputError)
    where.FILE.write_text(where.EXAMPLE.replace("gres: ''", "gres: gpu:1"), encoding="utf-8")
    said = CliRunner().invoke(orbweaver, ["study", "where"]).output
    assert "sbatch --cpus-per-task=4 --gres=gpu:1 --time=04:00:00 --mem=16G\n" in said
    where.FILE.write_text("remotes: {git: origin, dvc: storage}\n", encoding="utf-8")
    done = CliRunner().invoke(orbweaver, ["study", "where"])
    assert done.exit_code == 0
    assert "remote origin and DVC's remote storage\nwhere.yaml has no section slurm, which `--on slurm`" in done.output


@pytest.fixture
def job_file(cluster: Cluster) -> Callable[[str], str]:
    def make(scratch: str) -> str:
        begun(cluster, "a")
        file = cluster.root / "logs/jobs/0000/0.json"
        job = Job.model_validate_json(file.read_text(encoding="utf-8"))
        file.write_text(job.model_copy(update={"scratch": scratch}).model_dump_json(), encoding="utf-8")
        return str(file)

    return make


@pytest.mark.parametrize(
    ("scratch", "message"),
    [("/nowhere", "slurm.scratch: '/nowhere' is not a writable folder on "), ("$NOT_HERE/x", "names a variable that ")],
)
def test_a_scratch_that_is_none_is_refused_in_a_line(
    scratch: str, message: str, job_file: Callable[[str], str]
) -> None:
    caught = CliRunner().invoke(orbweaver, ["cell", job_file(scratch)]).exception
    assert isinstance(caught, InputError)
    assert message in str(caught)


def test_a_cell_begins_three_times_at_most(
    job_file: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = []
    monkeypatch.setattr(worker, "run", lambda job, place, request: began.append(place) or 1)
    file = job_file(str(tmp_path))
    for restarts in ("0", "2", "3"):
        monkeypatch.setenv(worker.RESTARTS, restarts)
        caught = CliRunner().invoke(orbweaver, ["cell", file]).exception
    assert len(began) == 2
    assert isinstance(caught, InputError)
    assert "its node, or another job, ended it 3 times" in str(caught)


def test_equal_cells_of_two_clones_have_places_of_their_own_on_a_node(
    job_file: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []
    monkeypatch.setattr(worker, "run", lambda job, place, request: places.append(place) or 0)
    monkeypatch.setattr(worker, "_is_there", lambda _: False)
    file = Path(job_file(str(tmp_path)))
    job = Job.model_validate_json(file.read_text(encoding="utf-8"))
    for changed in ({}, {"changes": "b"}, {"root": tmp_path / "another"}, {"reference": "refs/another/commit"}):
        file.write_text(job.model_copy(update=changed).model_dump_json(), encoding="utf-8")
        CliRunner().invoke(orbweaver, ["cell", str(file)])
    assert places[0] == places[1]
    assert len(set(places)) == 3


def test_a_cell_whose_time_is_nearly_over_is_queued_again_but_not_for_ever(
    cluster: Cluster, job_file: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cluster.place / "scontrol").write_text(f"#!/bin/sh\necho $@ >> {cluster.place}/scontrol.txt\n", encoding="utf-8")
    monkeypatch.setattr(worker.time, "sleep", lambda _: None)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")

    def stopped(job: Job, place: Path, request: worker.StopRequest) -> int:
        request.reason = "SIGUSR1"
        return worker.STOPPED

    monkeypatch.setattr(worker, "run", stopped)
    file = job_file(str(tmp_path))
    (cluster.place / "scontrol.txt").unlink(missing_ok=True)
    for restarts in ("0", "2"):
        monkeypatch.setenv(worker.RESTARTS, restarts)
        caught = CliRunner().invoke(orbweaver, ["cell", file]).exception
    assert cluster.called("scontrol") == ["requeue 7_0"]
    assert isinstance(caught, InputError)
    assert "its time was over 3 times; give more `time` in where.yaml" in str(caught)


@pytest.mark.parametrize(
    ("signal", "patience", "first", "status"),
    # SLURM signals every process: DVC may have ended before the training that it started.
    [("SIGUSR1", 90.0, "SIGINT", None), ("SIGTERM", 25.0, "SIGTERM", None), ("SIGTERM", 25.0, "SIGTERM", -15)],
)
def test_a_node_that_is_told_to_stop_has_the_training_write_its_checkpoint_beside_the_users_clone(
    signal: str, patience: float, first: str, status: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[tuple[float, str]] = []
    made = SimpleNamespace(status=lambda: status, stop=lambda patience, first: stopped.append((patience, first.name)))
    origin = SimpleNamespace(copy_to=lambda clone: clone)
    monkeypatch.setattr(worker, "ProjectSnapshot", lambda *_, **__: origin)
    monkeypatch.setattr(worker, "CellProcess", lambda *_, **__: made)
    request = worker.StopRequest()
    request.reason = signal
    job = Job(root=tmp_path, cache=tmp_path, commit="a", changes="a", experiment="mine-c0", overrides=(), scratch="/")
    assert worker.run(job, tmp_path / "node", request) == worker.STOPPED
    assert stopped == [(patience, first)]
    # Others who use the node cannot read what the clone has of DVC's settings.
    assert (tmp_path / "node").stat().st_mode & 0o077 == 0
    (tmp_path / "node/clone/.dvc/tmp/checkpoints/written").touch()
    assert (tmp_path / ".dvc/tmp/checkpoints/written").exists()


def test_on_a_node_mlflow_is_asked_only_where_it_is_a_server(tmp_path: Path) -> None:
    variables = {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "DVC_ROOT": "/x", "HOME": "/y"}
    environment = worker.environment(tmp_path, variables)
    assert set(environment) == {"HOME", "DVC_NO_ANALYTICS", "DVC_SITE_CACHE_DIR"}
    server = {"MLFLOW_TRACKING_URI": "https://m", "MLFLOW_TRACKING_USERNAME": "a"}
    assert worker.environment(tmp_path, server).items() >= server.items()


def test_a_cell_whose_experiment_is_there_does_not_run_again(cluster: Cluster, job_file: Callable[[str], str]) -> None:
    file = job_file("/nowhere")
    cluster.finish(*tasks("a"))
    done = CliRunner().invoke(orbweaver, ["cell", file])
    assert (done.exit_code, done.output) == (0, f"{tasks('a')[0].experiment}: it is there\n")
