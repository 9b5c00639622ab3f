"""A study's cells read from what their experiments left."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.core import paths
from pipeline.experiments import revisions
from pipeline.running import gathering
from pipeline.studies.definition import Study

WAY_OUT = "`dvc exp remove mine-a-k`, and the next run makes it again"
STUDY = Study.model_validate({"title": "One", "cells": {"a": None}})
CELL = SimpleNamespace(name="a", key="k", resolved=SimpleNamespace(recipe=SimpleNamespace(repeats=(1, 2))))


@pytest.fixture
def finished(clone, files, monkeypatch):
    """The files of one experiment in place of DVC's cache; gives what the cell's result is."""
    files.experiment(clone)

    class Held(revisions.Revision):
        def read(self, path):
            return path.read_bytes()

    monkeypatch.setattr(revisions, "Revision", Held)
    monkeypatch.setattr(revisions, "experiments", lambda root: [("other", "0"), ("mine-a-k", "revision")])
    return lambda: gathering.results(STUDY, [CELL], {"k": "revision"}, logs=Path("logs"))[0]


def test_a_cell_has_the_repeats_of_its_experiment(finished):
    assert [one.number for one in finished().repeats] == [1, 2]


def test_a_cell_that_has_not_run_says_so():
    [result] = gathering.results(STUDY, [CELL], {}, logs=Path("logs"))
    assert (result.repeats, result.missing) == ([], gathering.NOT_RUN)


@pytest.mark.parametrize(("key", "cached"), [("0123456789ab", True), ("ba9876543210", False)])
def test_a_cell_came_without_training_where_the_log_that_says_so_is_its_own(finished, monkeypatch, key, cached):
    monkeypatch.setattr(CELL, "key", "0123456789ab")
    Path("logs").mkdir()
    lines = f"Reproducing experiment 'mine-a-{key}'\nStage 'train@1' is cached - skipping run\n"
    Path("logs/a.log").write_text(lines, encoding="utf-8")
    [result] = gathering.results(STUDY, [CELL], {CELL.key: "revision"}, logs=Path("logs"))
    assert (len(result.repeats), result.cached) == (2, cached)


def test_a_cell_with_files_missing_says_where_they_come_from(finished):
    Path("metrics/evaluate/2/scores.json").unlink()
    assert finished().missing == f"metrics/evaluate/2/scores.json: No such file or directory; {WAY_OUT}"


def test_a_cell_of_an_older_format_says_what_makes_it_anew(finished):
    file = Path("metrics/evaluate/2/scores.json")
    file.write_text(file.read_text(encoding="utf-8").replace('"format": 4', '"format": 0'), encoding="utf-8")
    paths.digests(file).unlink()
    assert finished().missing == (
        f"metrics/evaluate/2/scores.json: has format 0, but this version reads format 4; {WAY_OUT}"
    )
