"""A run of one clone made again in another: identical, and not once a seed or a photograph is changed."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from clones import Clone, ran, stages

pytestmark = pytest.mark.slow
# What holds run times, and what quotes them.
TIMED = {"metrics/runtime/1.json", "metrics/runtime/1.json.sha256", "metrics/summary.json", "metrics/report"}


def run_id(clone: Clone, repeat: int) -> str:
    """The identifier of this repeat's run in the clone's MLflow."""
    with closing(sqlite3.connect(clone.root / "mlflow.db")) as store:
        asked = "SELECT run_uuid FROM tags WHERE key = 'orbweaver.repeat' AND value = ?"
        ((found,),) = store.execute(asked, (str(repeat),)).fetchall()
    return str(found)


def test_a_run_of_another_clone_is_identical_with_the_same_hash_for_all_but_the_run_time_and_what_quotes_it(
    finished: tuple[Clone, str], tmp_path: Path
) -> None:
    first, place = finished[0], tmp_path / "an other place"
    first.run("git", "clone", "--quiet", str(first.root), str(place / "clone"))
    other = Clone(place / "clone", tmp_path)
    other.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{first.root}/mlflow.db"
    other.environment["TMPDIR"] = str(place)
    told = other.typed("orbweaver reproduce RUN_ID", "--keep", put={"RUN_ID": run_id(first, 1)})
    assert "identical: all" in told.splitlines()[-1]
    assert "models/trained/1" in told
    assert sorted(ran(told)) == sorted(stages())
    # The clone that was made has its own cache: nothing in it is from the first.
    again = Clone(kept(told), tmp_path)
    one, two = first.outputs(), again.outputs()
    assert one.keys() == two.keys()
    assert {path for path in one if one[path] != two[path]} <= TIMED


def kept(told: str) -> Path:
    (place,) = re.findall("the clone stays in (.*)", told)
    return Path(place)


def test_a_changed_seed_is_named_and_nothing_is_left_behind(stubbed: Clone, tmp_path: Path) -> None:
    options = stubbed.values()["options"]
    options["data"]["synthetic"]["seed"] = 7
    stubbed.params(options=options)
    stubbed.commit()
    (tmp_path / "temporary").mkdir()
    stubbed.environment["TMPDIR"] = str(tmp_path / "temporary")
    told = stubbed.run("orbweaver", "reproduce", "HEAD", code=1)
    last = told.splitlines()[-1]
    assert last.startswith("different: ")
    assert "first data/collected" in last
    assert last.endswith("likely cause: parameter options.data.synthetic.seed 0 in the run, 7 here")
    assert not list((tmp_path / "temporary").glob("orbweaver-*"))


def test_what_is_reused_from_the_cache_is_not_made_again_but_training_is(stubbed: Clone, tmp_path: Path) -> None:
    stubbed.environment["TMPDIR"] = str(tmp_path)
    told = stubbed.typed("orbweaver reproduce RUN_ID", "--repeat 1 --reuse-data --keep --json", put={"RUN_ID": "HEAD"})
    assert sorted(ran(told)) == sorted(stages("train", "evaluate", "report"))
    assert json.loads(told[told.index("\n{") :])["identical"]
    assert (kept(told) / "metrics/report/index.html").is_file()


def test_one_repeat_of_two_is_identical_though_the_settings_name_it_alone(stubbed: Clone) -> None:
    stubbed.run("dvc", "exp", "run", "-n", "two", "-S", "repeats=[1,2]")
    told = stubbed.run("orbweaver", "reproduce", "two", "--repeat", "2")
    assert "identical: all" in told.splitlines()[-1]
    assert stages("train", repeats=[2]) <= set(ran(told))
    assert not stages("train") & set(ran(told))


def test_photographs_of_the_users_own_are_reproduced_from_their_place(stubbed: Clone, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    shutil.copytree(stubbed.root / "data/collected/images", folder)
    stubbed.run("dvc", "exp", "run", "-n", "own", "-S", "data=folder", "-S", f"folder={folder}")
    assert "identical: all" in stubbed.run("orbweaver", "reproduce", "own").splitlines()[-1]
    first, second, *_ = sorted(folder.rglob("*.*"))
    shutil.copy(second, first)
    last = stubbed.run("orbweaver", "reproduce", "own", code=1).splitlines()[-1]
    assert f"content of {folder}" in last
