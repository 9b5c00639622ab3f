"""The whole chain with its own stages: as a newcomer sees it, and interrupted."""

import json
import os
import re
import signal
import sqlite3
import time
from contextlib import closing

import limits
import pytest
import readme
from clones import Clone, ran, stages

pytestmark = pytest.mark.slow
Finished = tuple[Clone, str]


def test_the_chain_ends_with_a_report_and_every_stage_ran_once(finished: Finished) -> None:
    clone, told = finished
    assert sorted(ran(told)) == sorted(stages())
    assert "see metrics/report/index.html" in told
    assert (clone.root / "metrics/report/index.html").stat().st_size > 10_000


def test_a_second_run_does_nothing_and_does_not_take_long_and_dvc_shows_the_summary_and_its_plots(clone: Clone) -> None:
    with limits.within(30, time.monotonic):
        told = clone.typed("make repro", readme.INSTALLED)
    assert ran(told) == []
    assert "up to date" in told

    shown = json.loads(clone.run("dvc", "metrics", "show", "--json"))
    summary = json.loads((clone.root / "metrics/summary.json").read_text(encoding="utf-8"))
    assert shown[""]["data"]["metrics/summary.json"]["data"]["accuracy"] == summary["accuracy"]
    clone.run("dvc", "plots", "show", "--out", "dvc_plots")
    drawn = (clone.root / "dvc_plots/index.html").read_text(encoding="utf-8")
    for title in ("Training loss", "Training accuracy", "Test images of all repeats"):
        assert title in drawn


def test_mlflow_has_one_parent_with_its_child_finished(finished: Finished) -> None:
    clone, _ = finished
    with closing(sqlite3.connect(clone.root / "mlflow.db")) as store:
        runs = store.execute("SELECT status FROM runs").fetchall()
        parents = store.execute("SELECT count(*) FROM tags WHERE key = 'mlflow.parentRunId'").fetchone()[0]
    assert runs == [("FINISHED",), ("FINISHED",)]
    assert parents == 1


def test_nothing_that_dvc_tracks_names_a_time_a_place_or_a_commit_but_the_run_time(finished: Finished) -> None:
    clone, _ = finished
    commits = clone.run("git", "rev-list", "--all").split()
    assert len(commits) == 2
    for folder in ("data/recipe.yaml", "data/packed", "data/split", "models", "metrics/train", "metrics/evaluate"):
        place = clone.root / folder
        files = [file for file in (place, *place.rglob("*")) if file.is_file()]
        assert files
        for file in files:
            content = file.read_bytes()
            assert not any(word.encode() in content for word in (str(clone.root), *commits)), file
            if file.suffix in (".json", ".csv"):
                assert not re.search(rb"20\d\d-\d\d-\d\dT", content), file


def test_ctrl_c_stops_at_once_leaves_no_process_and_the_next_run_goes_on(clone: Clone) -> None:
    clone.params(budget=100_000)
    child = clone.start("dvc", "repro")
    assert child.stdout is not None
    lines = iter(child.stdout.readline, "")
    next(line for line in lines if line.startswith("epoch 3"))
    os.killpg(child.pid, signal.SIGINT)
    with limits.within(10, time.monotonic):
        rest, _ = child.communicate(timeout=60)
    assert child.returncode != 0
    assert re.search(
        r"^train: stopped by SIGINT in epoch \d+, after step \d of \d; the same command", rest, re.MULTILINE
    )
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
    clone.run("dvc", "checkout")
    assert (clone.root / "models/trained/1/weights.safetensors").exists()
    # MLflow's store may have been in the making: what is left of it is made anew by the next who needs it.
    assert [file.name for file in clone.root.rglob(".*.partial")] in ([], [".mlflow.db.partial"])
    clone.run("git", "checkout", "--", "params.yaml")
    assert ran(clone.run("dvc", "repro")) in ([], ["validate"])
