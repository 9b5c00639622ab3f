"""The whole chain once, as a newcomer sees it."""

import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import readme

STAGES = ["validate", "collect", "split@1", "preprocess", "source", "train@1", "evaluate@1", "report"]


def test_the_chain_ends_with_a_report_and_every_stage_ran_once(
    finished: tuple[Any, str], stages_ran: Callable[[str], list[str]]
) -> None:
    clone, told = finished
    assert sorted(stages_ran(told)) == sorted(STAGES)
    assert "see metrics/report/index.html" in told
    assert (clone.root / "metrics/report/index.html").stat().st_size > 10_000


def test_a_second_run_does_nothing_and_does_not_take_long(
    finished: tuple[Any, str], stages_ran: Callable[[str], list[str]]
) -> None:
    clone, _ = finished
    started = time.monotonic()
    told = clone.typed("make repro", readme.INSTALLED)
    assert stages_ran(told) == []
    assert "up to date" in told
    assert time.monotonic() - started < 30


def test_dvc_shows_the_summary_and_draws_its_plots(finished: tuple[Any, str]) -> None:
    clone, _ = finished
    shown = json.loads(clone.run("dvc", "metrics", "show", "--json"))
    summary = json.loads((clone.root / "metrics/summary.json").read_text(encoding="utf-8"))
    assert shown[""]["data"]["metrics/summary.json"]["data"]["accuracy"] == summary["accuracy"]
    clone.run("dvc", "plots", "show", "--out", "dvc_plots")
    drawn = (clone.root / "dvc_plots/index.html").read_text(encoding="utf-8")
    for title in ("Training loss", "Training accuracy", "Test images of all repeats"):
        assert title in drawn


def test_mlflow_has_one_parent_with_its_child_finished(finished: tuple[Any, str]) -> None:
    clone, _ = finished
    with closing(sqlite3.connect(clone.root / "mlflow.db")) as store:
        runs = store.execute("SELECT status FROM runs").fetchall()
        parents = store.execute("SELECT count(*) FROM tags WHERE key = 'mlflow.parentRunId'").fetchone()[0]
    assert runs == [("FINISHED",), ("FINISHED",)]
    assert parents == 1


def test_nothing_that_dvc_tracks_names_a_time_or_a_place_but_the_run_time(finished: tuple[Any, str]) -> None:
    clone, _ = finished
    for folder in ("data/packed", "data/split", "models", "metrics/train", "metrics/evaluate"):
        for file in (clone.root / folder).rglob("*"):
            if file.suffix in (".json", ".csv"):
                text = file.read_text(encoding="utf-8")
                assert str(clone.root) not in text, file
                assert not re.search(r"20\d\d-\d\d-\d\dT", text), file
