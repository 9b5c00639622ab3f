"""A study's cells read from what their experiments left."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.core import paths
from pipeline.experiments import revisions
from pipeline.running import gathering
from pipeline.running.executors.contract import State
from pipeline.studies import page
from pipeline.studies.definition import Study

WAY_OUT = "`dvc exp remove mine-a-k`, and the next run makes it again"
STUDY = Study.model_validate({"title": "One", "cells": {"a": None}})
CELL = SimpleNamespace(
    name="a", key="k", same=("b", "c"), resolved=SimpleNamespace(recipe=SimpleNamespace(repeats=(1, 2)))
)


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


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State("failed", "train: error: no room (log: {root}/a.log)"), "failed: train: error: no room (log: a.log)"),
        (State("running"), "running"),
    ],
)
def test_a_cell_that_failed_or_still_runs_says_so_in_the_page(state, words):
    state = state._replace(reason=state.reason.format(root=Path.cwd()))
    [result] = gathering.results(STUDY, [CELL], {}, logs=Path("logs"), states={"a": state})
    assert (result.repeats, result.missing) == ([], words)


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


@pytest.mark.parametrize(("read", "images"), [([("data/collected/manifest.csv", "5" * 32)], "5" * 32), ([], "")])
def test_the_photographs_of_a_cell_are_known_by_dvcs_hash_of_the_manifest(finished, read, images):
    lock = json.loads(paths.LOCK.read_bytes())
    deps = [{"path": "data/collected/images", "md5": "6" * 32}, *({"path": path, "md5": md5} for path, md5 in read)]
    lock["stages"]["copies"] = {"deps": deps}
    paths.LOCK.write_text(json.dumps(lock), encoding="utf-8")
    assert finished().images == images


def test_a_cell_has_the_printed_figures_of_those_that_are_the_same_experiment(finished, monkeypatch):
    cells = dict.fromkeys("abc")
    study = Study.model_validate({"title": "One", "cells": cells, "printed": {"b": {"accuracy": 90}}})
    [result] = gathering.results(study, [CELL], {}, logs=Path("logs"))
    assert (result.printed, result.same) == (None, {"b": study.printed["b"]})


def test_groups_of_one_name_have_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "as_markdown", lambda content: "")
    monkeypatch.setattr(page, "page", lambda content: "")

    def compared(name, drawn):
        return SimpleNamespace(group=SimpleNamespace(name=name), answer=SimpleNamespace(light=drawn), charts={})

    groups = [compared("my photos", b"1"), compared("my_photos", b"2"), compared("My photos", b"3")]
    gathering.write(tmp_path, {"groups": groups})
    written = {file.name: file.read_bytes() for file in (tmp_path / "figures").iterdir()}
    assert written == {
        "my_photos-answer.svg": b"1",
        "my_photos-2-answer.svg": b"2",
        "My_photos-3-answer.svg": b"3",
    }
