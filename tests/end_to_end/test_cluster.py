"""Studies on a real SLURM of two nodes that is started here; run by make test-cluster, on stub stages."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clones
import cluster
import pytest
import yaml
from clones import Clone
from cluster import Cluster

from pipeline.core import paths

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(cluster.lacking()), reason=cluster.lacking() or "all is there"),
]
# Named by each cell, so that those of this machine and of the cluster are the same experiments.
STUDY = """\
title: Mine
set: {{repeats: [1], threads: 2, device: cpu}}
grid: {{freeze: {freeze}}}
"""
STRATEGIES = ("1", "2", "3a", "3b", "3c", "scratch")
RUN = ("orbweaver", "study", "run", "mine.yaml", "--on", "slurm")
# Which experiment trains on which node; it ends when the test lets it, or has a checkpoint, and keeps its state for
# two seconds when it is asked to stop.
TRAIN = """
import os, sys, time
from pathlib import Path
from pipeline.core import paths
from pipeline.core.stopping import STOPPED, noted
from pipeline.stages import stubs

def note(word):
    with open(os.environ["TRAININGS"], "a", encoding="utf-8") as file:
        file.write(f"{word} {name} {os.environ.get('SLURMD_NODENAME')}\\n")

if __name__ == "__main__":
    network = stubs.read()["network"]
    name = "scratch" if network["weights"] == "none" else network["freeze"]
    note("begin")
    checkpoint = paths.root() / paths.CHECKPOINTS / name
    goes_on = checkpoint.exists()
    checkpoint.mkdir(parents=True, exist_ok=True)
    with noted() as request:
        while not (goes_on or Path(os.environ["TRAININGS"]).with_name("may end").exists()):
            time.sleep(0.1)
            if request.reason:
                time.sleep(2)
                # Fails where the job's clone has been removed meanwhile.
                (checkpoint / "kept").touch()
                note("keep")
                sys.exit(STOPPED)
    stubs.main("train", sys.argv[1:])
    note("end")
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    # A socket's path may have 108 signs.
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:
        Path(folder).chmod(0o755)
        with cluster.running(Path(folder)) as made:
            yield made


def user(stubbed: Clone, slurm: Cluster, scratch: Path, **settings: Any) -> Clone:
    """Have a clone's where.yaml name the cluster, and have it an edit that is not committed."""
    for node in cluster.NODES:
        (scratch / f"scratch-{node}").mkdir()
    (stubbed.root / "pipeline/stages/train.py").write_text(TRAIN, encoding="utf-8")
    where = {"cpus": 2, "scratch": f"{scratch}/scratch-$SLURMD_NODENAME", "device": "cpu", "memory": "100M"} | settings
    (stubbed.root / "where.yaml").write_text(yaml.safe_dump({"slurm": where}), encoding="utf-8")
    stubbed.environment |= {"SLURM_CONF": slurm.environment["SLURM_CONF"], "TRAININGS": str(scratch / "trainings")}
    # Each would have a cell called failed while it runs, or a command wait for its jobs.
    stubbed.environment |= {"SQUEUE_PARTITION": "first,none", "SQUEUE_ACCOUNT": "none", "SBATCH_WAIT": "1"}
    return stubbed


@pytest.fixture
def mine(stubbed: Clone, slurm: Cluster, tmp_path: Path) -> Clone:
    return user(stubbed, slurm, tmp_path)


@pytest.fixture(scope="module")
def timed(
    finished_stubs: Clone, slurm: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Clone, "subprocess.Popen[str]"]]:
    """A study of one cell whose time is nearly over, and its command, which other tests need not wait for."""
    place = tmp_path_factory.mktemp("timed")
    # The warning comes two minutes before, and SLURM counts minutes.
    made = user(clones.copied(finished_stubs, place), slurm, place, cpus=1, partition="first", time="00:02:30")
    study(made, "1")
    child = made.start(*RUN)
    yield made, child
    child.kill()
    child.communicate()


def study(clone: Clone, *freeze: str) -> None:
    text = STUDY.format(freeze=f"[{', '.join(freeze)}]")
    (clone.root / "mine.yaml").write_text(text, encoding="utf-8")


def trainings(clone: Clone) -> list[list[str]]:
    """Return what trainings noted: begin, keep or end, the cell, the node."""
    file = Path(clone.environment["TRAININGS"])
    return [line.split() for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def hashes(clone: Clone) -> dict[str, dict[str, Any]]:
    """Return the hash of every output but run times and what quotes them, of every experiment by its name."""
    found = {}
    for reference in clones.experiments(clone):
        lock = yaml.safe_load(clone.run("git", "show", f"{reference}:dvc.lock"))
        outs = [out for stage in lock["stages"].values() for out in stage["outs"]]
        name = reference.rpartition("/")[2]
        found[name] = {out["path"]: out["md5"] for out in outs if not re.search("runtime|summary|report", out["path"])}
    return found


def ended(child: "subprocess.Popen[str]", slurm: Cluster) -> str:
    """Wait until a command ends, without the two minutes that SLURM has a job wait that begins again."""

    def is_over() -> bool:
        slurm.begin_now()
        return child.poll() is not None

    cluster.wait(is_over, "a command does not end", every=1)
    return child.communicate(timeout=10)[0]


@pytest.mark.usefixtures("timed")
def test_six_cells_left_to_themselves_outlive_a_node_and_are_those_of_this_machine_to_the_byte(
    mine: Clone, slurm: Cluster, finished_stubs: Clone, tmp_path: Path
) -> None:
    study(mine, *STRATEGIES)
    told = mine.run(*RUN, "--detach")
    assert re.search(r"slurm: job \d+: 4 cells, after job \d+", told)
    assert "6 cells go on by themselves" in told
    cluster.wait(lambda: {node for _, _, node in trainings(mine)} == set(cluster.NODES), "no training on each node")
    [lost] = [cell for _, cell, node in trainings(mine) if node == "n2"]
    told = mine.run("orbweaver", "study", "show", "mine.yaml")
    assert "of these 2 running, 4 waiting\n" in told
    assert re.search(rf"^  {lost} +running .*\n +since 20\d\d-\S+ [\d:]+ on n2$", told, re.MULTILINE)
    slurm.kill_node("n2")
    attached = mine.start(*RUN)
    (tmp_path / "other").mkdir()
    here = clones.copied(finished_stubs, tmp_path / "other")
    (here.root / "pipeline/stages/train.py").write_text(TRAIN, encoding="utf-8")
    here.environment["TRAININGS"] = str(tmp_path / "here")
    study(here, *STRATEGIES)
    # Of the same name for both.
    (tmp_path / "may end").touch()
    local = here.start("orbweaver", "study", "run", "mine.yaml", "-j", "2")
    cluster.wait(lambda: "down" in slurm.call("sinfo", "-h", "-n", "n2", "-o", "%T"), "nobody misses n2", 120)
    slurm.start_node("n2")

    told = ended(attached, slurm)
    assert re.search(r"slurm: attached to jobs \d+, \d+: 6 cells", told)
    assert "0 cells were there, 6 ran, 0 failed" in told
    assert {node for _, _, node in trainings(mine)[2:]} == set(cluster.NODES)
    # What was lost has trained twice.
    assert sorted(cell for word, cell, _ in trainings(mine) if word == "begin") == sorted([*STRATEGIES, lost])
    # Of a training under way, on the shared place.
    assert {place.name for place in (mine.root / paths.CHECKPOINTS).iterdir()} >= set(STRATEGIES)
    assert not [*tmp_path.glob("scratch-n1/*")]
    assert "6 cells were there" in mine.run(*RUN)
    assert "6 ran, 0 failed" in ended(local, slurm)
    assert len(hashes(here)) == 6
    assert hashes(mine) == hashes(here)


def test_a_cell_whose_time_is_nearly_over_goes_on_from_its_checkpoint(
    timed: tuple[Clone, "subprocess.Popen[str]"], slurm: Cluster
) -> None:
    made, child = timed
    told = ended(child, slurm)
    assert "1 ran, 0 failed" in told
    assert [word for word, _, _ in trainings(made)] == ["begin", "keep", "begin", "end"]
    log = (made.root / ".dvc/tmp/studies/mine/1.log").read_text(encoding="utf-8")
    assert "its time is nearly over, so it is queued again" in log


def test_a_run_is_made_again_on_a_node_with_the_same_bytes(mine: Clone) -> None:
    told = mine.run("orbweaver", "reproduce", "HEAD", "--reuse-data", "--on", "slurm")
    assert "identical: all" in told.splitlines()[-1]
    assert not mine.run("git", "for-each-ref", "refs/orbweaver")


def test_ctrl_c_cancels_what_runs_and_what_waits_and_leaves_nothing(
    mine: Clone, slurm: Cluster, tmp_path: Path
) -> None:
    study(mine, "3a", "3b")
    child = mine.start(*RUN)
    cluster.wait(lambda: trainings(mine), "3a does not train")
    os.kill(child.pid, signal.SIGINT)
    told, _ = child.communicate(timeout=cluster.PATIENCE)
    assert child.returncode == 130, told
    assert "interrupted; nothing that it ran is left running" in told
    assert_nothing_is_left(slurm, tmp_path)
    # SLURM signals every process of the job, and the first of them passes it on.
    assert [word for word, _, _ in trainings(mine)] == ["begin", "keep"]
    assert not clones.experiments(mine)


def test_scancel_leaves_nothing_and_the_same_command_goes_on(mine: Clone, slurm: Cluster, tmp_path: Path) -> None:
    # One that has not begun yet is not in SLURM's list any more, and is waited for as on a slow network file system.
    study(mine, "3a")
    child = mine.start(*RUN)
    cluster.wait(lambda: trainings(mine), "3a does not train")
    slurm.call("scancel", "--user=root")
    told, _ = child.communicate(timeout=cluster.PATIENCE)
    assert child.returncode == 1, told
    assert "failed: 3a: it was cancelled" in told
    assert "cells that failed: 1 of 1, first 3a; " in told
    assert_nothing_is_left(slurm, tmp_path)
    assert [word for word, _, _ in trainings(mine)] == ["begin", "keep"]
    assert (mine.root / paths.CHECKPOINTS / "3a/kept").exists()
    # SLURM forgets the job in some minutes, and its word in the log stays.
    told = mine.run("orbweaver", "study", "show", "mine.yaml")
    assert re.search(r"^  3a +failed .*\n.*it was cancelled", told, re.MULTILINE)
    (tmp_path / "may end").touch()
    assert "1 ran, 0 failed" in mine.run(*RUN)


def assert_nothing_is_left(slurm: Cluster, scratch: Path) -> None:
    assert not slurm.call("squeue", "-h", "-t", "pending,running")
    cluster.wait(lambda: not [*scratch.glob("scratch-*/*")], "a clone is left", 30)
    cluster.wait(lambda: not any(slurm.at_work(node) for node in cluster.NODES), "a process is left", 30)
