"""What is asked of DVC's experiments later: it is read from the cache, without checking anything out."""

import re
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
from test_damage import flip

from pipeline.commands import compare, reproduce, sync
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.experiments import reading, revisions
from pipeline.experiments.revisions import Revision

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
    return clones.copied(Clone(folder / clones.COPY, folder), tmp_path)


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
    head, *named, last = said(sync.command).splitlines()
    reason = "left out: metrics/train/1/record.json: not in DVC's cache (pull it, if it was pushed); "
    reason += "`git restore --source="
    assert head.startswith(f"HEAD: {reason}HEAD params.yaml`")
    for name, line in zip(CHOSEN, named, strict=True):
        assert line.startswith(f"experiment {name}: {reason}")
        assert line.endswith(f"; `dvc exp remove {name}` ends this line")
    assert last == "MLflow: 1 experiment added, 3 with files missing"


@pytest.mark.parametrize("damage", [Path.unlink, flip])
def test_what_is_said_of_an_experiment_that_cannot_be_read_makes_it_again(
    experimented: Clone, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    experimented.enter(monkeypatch)
    [(_, revision)] = [one for one in revisions.experiments(Path.cwd()) if one[0] == "first"]
    content = Revision(Path.cwd(), revision).read(paths.evaluation(1) / "predictions.csv")
    [held] = [file for file in Path(".dvc/cache").rglob("*") if file.is_file() and file.read_bytes() == content]
    damage(held)
    with pytest.raises(InputError, match=r"^first: metrics/evaluate/1/predictions\.csv: ") as caught:
        reading.read("first")
    with pytest.raises(InputError) as same:
        reproduce.look_up(Path.cwd(), "first")
    assert str(same.value) == str(caught.value)
    for command in re.findall(r"`([^`]*)`", str(caught.value)):
        experimented.run("bash", "-c", command)
    again, first = reading.read(reading.WORKSPACE), reading.read("first")
    assert again._replace(name="first") == first
