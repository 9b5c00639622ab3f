"""The scripts of jobs, as a node runs them."""

import os
import subprocess
from pathlib import Path

from two_remotes import KEYS, REFERENCES, Machine

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
