"""The scripts of jobs, as a node runs them."""

import os
import subprocess
from pathlib import Path

import pytest
from slurm_stand_ins import made, tasks
from two_remotes import KEYS, REFERENCES, Machine

from pipeline.experiments import cloning
from pipeline.running.executors import arrays, jobs
from pipeline.running.executors.jobs import Job


def test_a_node_that_sees_no_file_of_ours_takes_no_module_from_where_it_works(tmp_path: Path) -> None:
    machine, works_in = Machine(tmp_path), tmp_path / "of everybody"
    machine.finish(KEYS[0])
    machine.run("git", "push", "--quiet", "origin", REFERENCES[KEYS[0]])
    works_in.mkdir()
    for name in ("click.py", "json.py"):
        (works_in / name).write_text("raise SystemExit('not ours')", encoding="utf-8")
    place = {"root": tmp_path, "cache": tmp_path, "commit": "a", "changes": "a", "scratch": "/"}
    job = Job(**place, experiment=f"mine-c0-{KEYS[0]}", overrides=(), remotes=machine.remotes)
    text = jobs.script_alone([job], [])
    environment = os.environ | {"SLURM_ARRAY_TASK_ID": "0"}
    done = subprocess.run(["bash", "-c", text], cwd=works_in, capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == (f"{job.experiment}: it is there\n", "")
    assert "--chdir=/" in arrays.OF_THE_NODE


COMMANDS = "from pathlib import Path\nimport sys\nprint('{}', sys.argv[1], Path(sys.argv[2]).name)\n"


def test_a_job_that_waits_runs_the_code_with_which_it_was_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = made(tmp_path, monkeypatch)
    program = cluster.root / "pipeline/commands.py"
    program.write_text(COMMANDS.format("committed"), encoding="utf-8")
    cluster.git("add", ".")
    cluster.git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "--message", "two")
    for edited in ("before", "before again"):
        program.write_text(COMMANDS.format(f"edited {edited}"), encoding="utf-8")
        executor = cluster.executor()
        executor.state([executor.submit(task) for task in tasks(*"ab")])
        program.write_text("raise SystemExit('edited while it waits')\n", encoding="utf-8")
        script = sorted(cluster.root.glob("logs/jobs/*/job.sh"))[-1].read_text(encoding="utf-8")
        # Nodes may work anywhere, and have the package of the working tree by its install.
        environment = os.environ | {"SLURM_ARRAY_TASK_ID": "1", "PYTHONPATH": str(cluster.root)}
        text = script.replace("module load cuda", "true")
        done = subprocess.run(["bash", "-c", text], cwd="/", capture_output=True, text=True, env=environment)
        assert (done.stdout, done.stderr) == (f"edited {edited} cell 1.json\n", "")
        executor.cancel([])
        assert not list(cluster.root.glob("logs/jobs/code/*"))


@pytest.mark.parametrize("below", ["", "deep/project"])
def test_a_folder_of_a_commit_is_written_whole(below: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path, f"clone/{below}")
    (machine.root / "package/inner").mkdir(parents=True)
    (machine.root / "package/inner/file").write_text("committed", encoding="utf-8")
    machine.finish()
    (machine.root / "package/inner/file").write_text("edited", encoding="utf-8")
    # What a kill left.
    (tmp_path / "code/a.partial/package").mkdir(parents=True)
    (tmp_path / "code/a.partial/package/cut").touch()
    place = machine.run("git", "rev-parse", "--show-prefix") + "package"
    cloning.export(machine.root, "HEAD", place, tmp_path / "code/a/package")
    files = [file for file in (tmp_path / "code").rglob("*") if file.is_file()]
    assert files == [tmp_path / "code/a/package/inner/file"]
    assert files[0].read_text(encoding="utf-8") == "committed"
