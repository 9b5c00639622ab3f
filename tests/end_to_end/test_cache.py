"""What is asked of DVC's experiments later: it is read from the cache, without checking anything out."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import clones
import pytest
from click import Command
from click.testing import CliRunner
from clones import Clone

from pipeline.commands import compare, sync

pytestmark = pytest.mark.slow
CHOSEN = {"first": "3a", "second": "3c"}


@pytest.fixture
def experimented(finished_stubs: Clone, shared: Callable[..., Path], tmp_path: Path) -> Clone:
    """A clone of one's own with two experiments; the second is also what is in its workspace."""

    def make(folder: Path) -> None:
        clone = clones.copied(finished_stubs, folder)
        for name, freeze in CHOSEN.items():
            clone.run("dvc", "exp", "run", "--name", name, "-S", f"freeze={freeze}")

    folder = shared("experimented", make)
    return clones.copied(Clone(folder / "project", folder), tmp_path)


def said(command: Command, *words: str) -> str:
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_two_experiments_and_the_workspace_are_compared(experimented: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    experimented.enter(monkeypatch)
    told = " ".join(said(compare.command, "first", "second", "workspace").split())
    assert "first 1 50.00" in told
    assert "second 1 90.00" in told
    assert "workspace 1 90.00" in told


def test_every_experiment_is_added_to_mlflow_once_with_its_name(
    experimented: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    experimented.enter(monkeypatch)
    assert said(sync.command).splitlines() == ["MLflow: 3 experiments added"]
    assert said(sync.command).splitlines() == ["MLflow: 3 experiments already there"]
    with closing(sqlite3.connect("mlflow.db")) as store:
        parents = "SELECT run_uuid FROM params WHERE key = 'repeats'"
        rows = store.execute(f"SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({parents})").fetchall()
    tags: dict[str, dict[str, str]] = {}
    for run, key, value in rows:
        tags.setdefault(run, {})[key] = value
    named = {one["strategy"]: one.get("dvc.experiments") for one in tags.values()}
    assert named == {"3b": None} | {freeze: name for name, freeze in CHOSEN.items()}


def test_experiments_whose_files_are_not_in_the_cache_are_left_out(
    experimented: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    experimented.enter(monkeypatch)
    shutil.rmtree(".dvc/cache")
    assert said(sync.command).splitlines() == [
        "HEAD: left out: metrics/train/1/record.json: not in DVC's cache",
        *(f"experiment {name}: left out: metrics/train/1/record.json: not in DVC's cache" for name in CHOSEN),
        "MLflow: 1 experiment added, 3 with files missing",
    ]
