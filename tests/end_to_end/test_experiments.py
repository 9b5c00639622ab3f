"""What DVC's users do: change one thing, sweep, go back, interrupt."""

import json
import os
import re
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
import yaml
from PIL import Image

pytestmark = pytest.mark.slow
Ran = Callable[[str], list[str]]


def runs(root: Path) -> Counter[str]:
    """How many parents and children MLflow has."""
    with closing(sqlite3.connect(root / "mlflow.db")) as store:
        children = store.execute("SELECT count(*) FROM tags WHERE key = 'mlflow.parentRunId'").fetchone()[0]
        every = store.execute("SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'").fetchone()[0]
    return Counter(parents=every - children, children=children)


def work_off_the_queue(clone: Any) -> None:
    """Wait for what was started; on a busy machine DVC's workers may stop before the queue is empty."""
    deadline = time.monotonic() + 1500
    while re.search(r"\b(Queued|Running)\b", told := clone.run("dvc", "queue", "status")):
        assert time.monotonic() < deadline, told
        if "Worker status: 0 active, 0 idle" in told:
            clone.run("dvc", "queue", "start", "-j", "2")
        time.sleep(5)


def test_another_strategy_trains_and_tests_again_and_nothing_else(clone: Any, stages_ran: Ran) -> None:
    told = clone.typed("dvc exp run -S freeze=3c")
    assert sorted(stages_ran(told)) == ["evaluate@1", "report", "train@1", "validate"]
    told = clone.run("dvc", "exp", "run", "-S", "freeze=3c", "-S", "repeats=[1,2]")
    assert {"train@2", "evaluate@2", "split@2"} <= set(stages_ran(told))
    assert not {"train@1", "evaluate@1", "collect", "preprocess", "source"} & set(stages_ran(told))


def test_another_papers_section_re_runs_nothing(clone: Any, stages_ran: Ran) -> None:
    values = yaml.safe_load((clone.root / "params.yaml").read_text(encoding="utf-8"))
    values["papers"]["ecsm"]["train"]["lr"] = 0.5
    clone.params(papers=values["papers"])
    assert stages_ran(clone.run("dvc", "repro")) == ["validate"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("freeze=bad", "validate: error: params.yaml: freeze: 'bad' is not one of auto, 1, 2, 3a, 3b, 3c, scratch"),
        ("+frez=3c", "validate: error: params.yaml: unknown key 'frez'; did you mean 'freeze'?"),
        ("repeats=[1,1]", "names one twice"),
        ("device=gpu", "device: 'gpu'"),
    ],
)
def test_wrong_parameters_stop_the_run_before_anything_is_lost(
    clone: Any, override: str, message: str, stages_ran: Ran
) -> None:
    before = clone.outputs()
    told = clone.run("dvc", "exp", "run", "-S", override, code=255)
    assert message in told
    assert stages_ran(told) in ([], ["validate"])
    clone.run("git", "checkout", "--", "params.yaml")
    clone.run("dvc", "checkout")
    assert clone.outputs() == before
    assert all((clone.root / path).exists() for path in before)


def test_two_clones_give_the_same_hash_for_all_but_the_run_time_and_what_quotes_it(
    finished: tuple[Any, str], fresh: Callable[[str], Any]
) -> None:
    other = fresh("an other clone")
    other.run("dvc", "repro")
    one, two = finished[0].outputs(), other.outputs()
    assert one.keys() == two.keys()
    differing = {path for path in one if one[path] != two[path]}
    assert differing <= {"metrics/runtime/1.json", "metrics/summary.json", "metrics/report"}


def test_five_strategies_in_the_queue_are_five_runs_in_mlflow_and_none_is_doubled(clone: Any, stages_ran: Ran) -> None:
    clone.typed("dvc exp run --queue -S 'freeze=1,2,3a,3b,3c' && dvc queue start -j 2")
    work_off_the_queue(clone)
    shown = json.loads(clone.run("dvc", "exp", "show", "--json"))
    experiments = [e for branch in shown for e in branch["experiments"] or []]
    assert len(experiments) == 5
    assert runs(clone.root) == Counter(parents=5, children=5)
    again = clone.run("dvc", "exp", "run", "-S", "freeze=3a")
    assert "train@1" not in stages_ran(again)
    clone.run("orbweaver", "sync")
    assert runs(clone.root) == Counter(parents=5, children=5)
    (clone.root / "mlflow.db").unlink()
    shutil.rmtree(clone.root / "mlruns")
    clone.run("orbweaver", "sync")
    assert runs(clone.root) == Counter(parents=5, children=5)
    assert re.search(r"\b3a\b", clone.typed("dvc exp show --only-changed"))
    assert "index.html" in clone.typed("dvc plots diff")
    told = clone.typed("dvc exp run -n last-block -S freeze=3c") + clone.typed("dvc exp run -n two-blocks -S freeze=3b")
    assert "train@1" not in stages_ran(told)
    told = clone.typed("orbweaver compare last-block two-blocks")
    assert re.search(r"network\.freeze +3c +3b", told)


def test_ctrl_c_stops_at_once_leaves_no_process_and_the_next_run_goes_on(clone: Any, stages_ran: Ran) -> None:
    values = yaml.safe_load((clone.root / "params.yaml").read_text(encoding="utf-8"))
    values["papers"]["quick"]["train"]["budget"]["amount"] = 100_000
    clone.params(papers=values["papers"])
    child = clone.start("dvc", "repro")
    assert child.stdout is not None
    lines = iter(child.stdout.readline, "")
    next(line for line in lines if line.startswith("epoch 3"))
    os.killpg(child.pid, signal.SIGINT)
    started = time.monotonic()
    rest, _ = child.communicate(timeout=60)
    assert time.monotonic() - started < 10
    assert child.returncode != 0
    assert "train: interrupted" in rest
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
    clone.run("dvc", "checkout")
    assert (clone.root / "models/trained/1/weights.safetensors").exists()
    # MLflow's store may have been in the making: what is left of it is made anew by the next who needs it.
    assert [file.name for file in clone.root.rglob(".*.partial")] in ([], [".mlflow.db.partial"])
    clone.run("git", "checkout", "--", "params.yaml")
    assert stages_ran(clone.run("dvc", "repro")) in ([], ["validate"])


def test_a_folder_with_awkward_names_and_bad_files_runs_and_lists_what_is_left_out(clone: Any, tmp_path: Path) -> None:
    folder = tmp_path / "mes photos d'été"
    generator = np.random.default_rng(0)
    for label in ("épeire diadème", "L'autre"):
        (folder / label).mkdir(parents=True)
        for number in range(6):
            pixels = generator.integers(0, 256, (60, 50, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"n° {number}.jpg")
    (folder / "L'autre" / "broken.jpg").write_bytes((folder / "L'autre" / "n° 0.jpg").read_bytes()[:200])
    (folder / "L'autre" / "empty.jpg").touch()
    quoted = str(folder).replace("'", "\\'")
    told = clone.run("dvc", "exp", "run", "-S", "data=folder", "-S", f"folder='{quoted}'")
    assert "collect: 12 images in 2 classes, 2 files rejected (data/collected/rejected.csv)" in told
    rejected = (clone.root / "data/collected/rejected.csv").read_text(encoding="utf-8")
    assert "L'autre/broken.jpg" in rejected
    assert "L'autre/empty.jpg" in rejected
    assert "épeire diadème" in (clone.root / "metrics/report/index.html").read_text(encoding="utf-8")


def test_a_failing_stage_says_why_in_one_line_and_its_output_comes_back(clone: Any, tmp_path: Path) -> None:
    before = clone.outputs()
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), tmp_path / "w.pth")
    words = ["-S", "weights=file", "-S", f"weights_file={tmp_path}/w.pth"]
    told = clone.run("dvc", "exp", "run", *words, code=255)
    assert "source: error: file w.pth: not the values of this backbone; " in told
    assert "Traceback" not in told
    clone.run("git", "checkout", "--", "params.yaml")
    clone.run("dvc", "checkout")
    assert (clone.root / "models/source/weights.safetensors").exists()
    assert clone.outputs() == before


def test_photographs_in_data_own_reach_a_queued_run_when_they_are_named(clone: Any) -> None:
    generator = np.random.default_rng(0)
    for label in ("a", "b"):
        (clone.root / "data/own" / label).mkdir()
        for number in range(4):
            pixels = generator.integers(0, 256, (50, 50, 3), np.uint8)
            Image.fromarray(pixels).save(clone.root / "data/own" / label / f"{number}.png")
    told = clone.run("dvc", "exp", "run", "--temp", "-S", "data=folder", code=255)
    assert "name them by their own place" in told
    place = clone.root / "data/own"
    told = clone.run("dvc", "exp", "run", "--temp", "-S", "data=folder", "-S", f"folder='{place}'")
    assert "collect: 8 images in 2 classes" in told
