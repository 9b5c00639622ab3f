"""Studies on a real SLURM of two nodes that is started here; run by make test-cluster, on stub stages."""

import os
import re
import signal
import subprocess
import tempfile
import time
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
# Which experiment trains on which node, and how long where there is no checkpoint of it.
TRAIN = """
import os, sys, time
from pipeline.core import paths
from pipeline.stages import stubs

if __name__ == "__main__":
    freeze = stubs.read()["network"]["freeze"]
    with open(os.environ["TRAININGS"], "a", encoding="utf-8") as file:
        file.write(f"begin {freeze} {os.environ.get('SLURMD_NODENAME')}\\n")
    checkpoint = paths.root() / paths.CHECKPOINTS / freeze
    seconds = 0.0 if checkpoint.exists() else float(os.environ["SECONDS_EACH"])
    checkpoint.mkdir(parents=True, exist_ok=True)
    time.sleep(seconds)
    stubs.main("train", sys.argv[1:])
    with open(os.environ["TRAININGS"], "a", encoding="utf-8") as file:
        file.write(f"end {freeze} {os.environ.get('SLURMD_NODENAME')}\\n")
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    # A socket's path may have 108 signs.
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:
        Path(folder).chmod(0o755)
        with cluster.running(Path(folder)) as made:
            yield made


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    for node in cluster.NODES:
        (tmp_path / f"scratch-{node}").mkdir()
    return tmp_path


@pytest.fixture
def mine(stubbed: Clone, slurm: Cluster, scratch: Path) -> Clone:
    """A clone whose where.yaml names the cluster, with an edit that is not committed."""
    (stubbed.root / "pipeline/stages/train.py").write_text(TRAIN, encoding="utf-8")
    where = {"cpus": 2, "scratch": f"{scratch}/scratch-$SLURMD_NODENAME", "device": "cpu", "memory": "100M"}
    (stubbed.root / "where.yaml").write_text(yaml.safe_dump({"slurm": where}), encoding="utf-8")
    stubbed.environment |= {
        "SLURM_CONF": slurm.environment["SLURM_CONF"],
        "TRAININGS": str(scratch / "trainings"),
        "SECONDS_EACH": "0",
    }
    return stubbed


def study(clone: Clone, *freeze: str) -> None:
    text = STUDY.format(freeze=f"[{', '.join(freeze)}]")
    (clone.root / "mine.yaml").write_text(text, encoding="utf-8")


def trainings(clone: Clone) -> list[list[str]]:
    """Return what trainings noted: begin or end, the strategy, the node."""
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
    deadline = time.monotonic() + cluster.PATIENCE
    while child.poll() is None and time.monotonic() < deadline:
        slurm.begin_now()
        time.sleep(1)
    return child.communicate(timeout=10)[0]


def test_six_cells_on_two_nodes_are_those_of_this_machine_to_the_byte(
    mine: Clone, finished_stubs: Clone, scratch: Path
) -> None:
    study(mine, *STRATEGIES)
    told = mine.run("orbweaver", "study", "run", "mine.yaml", "--on", "slurm")
    assert "0 cells were there, 6 ran, 0 failed" in told
    assert re.search(r"slurm: job \d+: 4 cells, after job \d+", told)
    assert {node for _, _, node in trainings(mine)} == set(cluster.NODES)
    assert not [*scratch.glob("scratch-*/*")]
    # Of a training under way, on the shared place.
    assert {place.name for place in (mine.root / paths.CHECKPOINTS).iterdir()} >= {"1", "2", "3a", "3b", "3c"}
    assert "6 cells were there" in mine.run("orbweaver", "study", "run", "mine.yaml", "--on", "slurm")
    (scratch / "other").mkdir()
    here = clones.copied(finished_stubs, scratch / "other")
    (here.root / "pipeline/stages/train.py").write_text(TRAIN, encoding="utf-8")
    here.environment |= {"TRAININGS": str(scratch / "here"), "SECONDS_EACH": "0"}
    study(here, *STRATEGIES)
    assert "6 ran, 0 failed" in here.run("orbweaver", "study", "run", "mine.yaml", "-j", "2")
    assert len(hashes(here)) == 6
    assert hashes(mine) == hashes(here)


def test_cells_of_a_node_that_dies_finish_on_the_other_and_no_other_trains_twice(mine: Clone, slurm: Cluster) -> None:
    study(mine, "1", "2", "3a")
    mine.environment["SECONDS_EACH"] = "15"
    child = mine.start("orbweaver", "study", "run", "mine.yaml", "--on", "slurm")
    cluster.wait(lambda: [node for word, _, node in trainings(mine) if node == "n2"] == ["n2"], "n2 trains nothing")
    slurm.kill_node("n2")
    (lost,) = [freeze for word, freeze, node in trainings(mine) if node == "n2"]
    told = ended(child, slurm)
    assert "3 ran, 0 failed" in told, told
    slurm.start_node("n2")
    began = [freeze for word, freeze, _ in trainings(mine) if word == "begin"]
    assert sorted(began) == sorted(["1", "2", "3a", lost])
    cluster.wait(lambda: slurm.call("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * 2, "n2 is not back")


def test_a_study_is_left_attached_to_and_cancelled(mine: Clone, slurm: Cluster, scratch: Path) -> None:
    study(mine, "1", "2")
    mine.environment["SECONDS_EACH"] = "15"
    words = ("orbweaver", "study", "run", "mine.yaml", "--on", "slurm")
    assert "2 cells go on by themselves" in mine.run(*words, "--detach")
    told = mine.run(*words)
    assert re.search(r"slurm: attached to jobs \d+, \d+: 2 cells", told)
    assert "2 ran, 0 failed" in told
    assert len([word for word, _, _ in trainings(mine) if word == "begin"]) == 2

    study(mine, "3a", "3b")
    mine.environment["SECONDS_EACH"] = "300"
    child = mine.start(*words)
    cluster.wait(lambda: any(freeze == "3a" for _, freeze, _ in trainings(mine)), "3a does not train")
    os.kill(child.pid, signal.SIGINT)
    told, _ = child.communicate(timeout=cluster.PATIENCE)
    assert child.returncode == 130, told
    assert "interrupted; nothing is left running" in told
    assert not slurm.call("squeue", "-h", "-t", "pending,running")
    cluster.wait(lambda: not [*scratch.glob("scratch-*/*")], "a clone is left", 30)
    assert not [process for node in cluster.NODES for process in slurm.at_work(node) if process.name() == "python"]
    assert len(clones.experiments(mine)) == 2


def test_a_cell_whose_time_is_nearly_over_goes_on_from_its_checkpoint(mine: Clone, slurm: Cluster) -> None:
    study(mine, "1")
    # The warning comes two minutes before.
    where = mine.root / "where.yaml"
    where.write_text(where.read_text(encoding="utf-8") + "  time: '00:02:30'\n", encoding="utf-8")
    mine.environment["SECONDS_EACH"] = "600"
    told = ended(mine.start("orbweaver", "study", "run", "mine.yaml", "--on", "slurm"), slurm)
    assert "1 ran, 0 failed" in told, told
    assert [word for word, _, _ in trainings(mine)] == ["begin", "begin", "end"]
    log = (mine.root / ".dvc/tmp/studies/mine/1.log").read_text(encoding="utf-8")
    assert "its time is nearly over, so it is queued again" in log
