import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import tracking
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.holding import held
from pipeline.tracking import failures, labels, store
from pipeline.tracking.database_file import READ_ONLY

ROOT = Path(__file__).parents[2]


def test_the_database_is_in_the_users_clone_wherever_a_queue_run_is(clone, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(clone))
    monkeypatch.chdir(tmp_path)
    assert tracking.uri() == f"sqlite:///{clone}/mlflow.db"


def test_a_relative_database_is_below_the_clone(clone, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(clone))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    monkeypatch.chdir(tmp_path)
    assert tracking.uri() == f"sqlite:///{clone}/other.db"


@pytest.mark.parametrize("given", ["http://host:5000", "sqlite:////data/all.db", "postgresql://host/runs"])
def test_an_address_of_the_users_is_taken_as_it_is(clone, monkeypatch, given):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert tracking.uri() == given


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_address_is_none(clone, monkeypatch, blank):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", blank)
    assert tracking.uri() == f"sqlite:///{clone}/mlflow.db"


@pytest.mark.parametrize("name", ["what?", 'it\'s "mine"'])
def test_a_root_that_no_database_can_be_in_is_refused_before_anything_is_written(clone, monkeypatch, name):
    root = clone / name
    root.mkdir()
    monkeypatch.chdir(root)
    with pytest.raises(InputError, match=r"; rename the folder$") as raised:
        tracking.initialize()
    assert str(raised.value).startswith(f"{root}: its path has ")
    assert tracking.run_of("0" * 64) == ""
    assert sorted(clone.rglob("*")) == sorted([root, clone / "params.yaml"])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert tracking.uri() == "http://host:5000"


def test_below_a_question_mark_a_database_elsewhere_is_taken(clone, monkeypatch):
    (clone / "what?").mkdir()
    monkeypatch.chdir(clone / "what?")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////data/all.db")
    assert tracking.uri() == "sqlite:////data/all.db"


def test_a_password_is_not_shown():
    assert tracking.shown("postgresql://me:secret@host/runs") == "postgresql://host/runs"


def test_what_the_user_has_set_stays(clone, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
    store.quieten()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"


@pytest.mark.slow
def test_several_processes_may_make_the_store_at_once(clone):
    count = 3
    words = [sys.executable, "-c", "from pipeline import tracking; tracking.initialize()"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = [subprocess.Popen(words, env=environment, stderr=subprocess.PIPE) for _ in range(count)]
    done = [(process.communicate()[1], process.returncode) for process in started]
    # A busy machine may say who is waited for.
    assert [code for _, code in done] == [0] * count
    assert all(line.startswith(b"mlflow: waiting for process ") for said, _ in done for line in said.splitlines())
    with contextlib.closing(sqlite3.connect("mlflow.db")) as connection:
        found = connection.execute("SELECT name, artifact_location FROM experiments ORDER BY name").fetchall()
    assert found[1:] == [("orbweaver", (clone / "mlruns").as_uri())]


def test_who_holds_the_store_for_too_long_is_named(clone, monkeypatch, capsys):
    monkeypatch.setattr(store, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.1)
    with (
        held(clone / paths.MLFLOW_LOCK, "orbweaver sync", waiting=pytest.fail),
        pytest.raises(
            InputError, match=rf"process {os.getpid()} \(orbweaver sync\) since .*; wait until that has ended"
        ),
    ):
        tracking.initialize()
    assert capsys.readouterr().err.startswith(f"mlflow: waiting for process {os.getpid()} (orbweaver sync) since ")


def test_clones_with_one_database_take_turns(clone, monkeypatch, tmp_path):
    place = tmp_path / "all" / "runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}")
    with held(place.with_name(".runs.db.lock"), "another clone", waiting=pytest.fail):
        monkeypatch.setattr(store, "QUIET_SECONDS", 0.0)
        monkeypatch.setattr(store, "LOCK_SECONDS", 0.1)
        with pytest.raises(InputError, match="another clone"):
            tracking.initialize()


def test_a_store_that_was_killed_while_it_was_made_is_made_anew(clone, runs):
    half = Path(f".mlflow.db.partial/{os.getpid()}/mlflow.db")
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half of a database")
    tracking.initialize()
    assert runs() == []
    assert not Path(".mlflow.db.partial").exists()


@pytest.mark.parametrize(
    ("version", "words"),
    [
        # MLflow 1.0 had it.
        ("451aebb31d03", r"made by an older MLflow; back it up and run `mlflow db upgrade 'sqlite:///.*mlflow\.db'`$"),
        (
            "ffffffffffff",
            r"made by a newer MLflow than [\d.]+, which is installed; .*, or move it away, and `orbweaver",
        ),
    ],
)
def test_a_database_of_another_version_is_told_with_the_way_out(tracked, version, words):
    with contextlib.closing(sqlite3.connect("mlflow.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
    with pytest.raises(InputError, match=words):
        tracking.initialize()


def test_a_store_that_came_from_another_folder_is_refused(tracked, tmp_path, monkeypatch):
    tracked.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    with pytest.raises(
        InputError,
        match=r"made in another folder, as it keeps artifacts in file://.*clone.*/mlruns.*; move the project back ",
    ):
        tracking.initialize()


def test_a_file_that_is_no_database_is_told_in_a_line_with_the_way_out(clone, capfd):
    Path("mlflow.db").write_text("not a database, but long enough to look like one" * 99, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        tracking.initialize()
    damaged = "damaged (file is not a database); move it away, and `orbweaver sync` makes the runs again, "
    assert str(raised.value).startswith(f"sqlite:///{clone}/mlflow.db: {damaged}")
    assert str(raised.value).endswith("but no registered model, note or run of your own")
    assert capfd.readouterr().err == ""


def test_a_database_that_was_cut_short_is_damaged(tracked):
    os.truncate("mlflow.db", 8192)
    with pytest.raises(InputError, match=r"mlflow\.db: damaged \(database disk image is malformed\); move it away"):
        tracking.initialize()


def test_a_database_that_another_program_has_locked_may_be_free_later(tracked):
    with contextlib.closing(sqlite3.connect("mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        way_out = "locked by another program for longer than MLflow waits; end it, then run the same command again"
        with pytest.raises(failures.AwayError, match=rf"^sqlite:///{tracked}/mlflow\.db: {way_out}$"):
            tracking.initialize()


def test_what_cannot_be_opened_is_refused_before_mlflow_tries_for_two_minutes(tracked, monkeypatch):
    monkeypatch.setattr(store, "_client", pytest.fail)
    for refused, words in (({os.R_OK, os.W_OK}, "you may not read it; `chmod u"), ({os.W_OK}, "you may not write it")):
        monkeypatch.setattr(os, "access", lambda _, mode, refused=refused: mode not in refused)
        with pytest.raises(InputError, match=rf"^{tracked}/mlflow\.db: {words}"):
            tracking.initialize()
    Path("mlflow.db").unlink()
    Path("mlflow.db").mkdir()
    with pytest.raises(InputError, match=r"mlflow\.db: is not a file; move it away, and `orbweaver sync` makes"):
        tracking.initialize()


def test_what_sqlalchemy_says_to_programmers_is_left_out(tracked):
    from sqlalchemy.exc import OperationalError

    for words, line in (
        ("no such table: runs", r"\(builtins\.OSError\) no such table: runs"),
        (READ_ONLY, "you may not"),
    ):
        with pytest.raises(InputError, match=rf"^sqlite:///\S.*/mlflow\.db: {line}[^\[]*$"), failures.told_in_a_line():
            raise OperationalError("SELECT 1", {}, OSError(words))


def test_the_users_experiment_name_is_taken(tracked, monkeypatch, runs):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "spiders")
    tracking.initialize()
    with contextlib.closing(sqlite3.connect("mlflow.db")) as connection:
        assert ("spiders",) in connection.execute("SELECT name FROM experiments").fetchall()


def test_of_two_runs_of_one_key_the_older_is_taken(tracked):
    with store.opened() as opened:
        older = store.make_run(opened, {"orbweaver.key": "k"}, started=1000)
        store.make_run(opened, {"orbweaver.key": "k"}, started=2000)
        assert store.runs_of(opened, "k")[None].info.run_id == older


def test_more_values_than_one_request_takes_are_logged(tracked, points):
    many = [store.Point("loss", 0.5, step, 1000) for step in range(2500)]
    with store.opened() as opened:
        run = store.make_run(opened, {"orbweaver.key": "k"}, started=1000)
        store.log(opened, run, points=many, params={f"p{number}": "1" for number in range(250)})
        assert len(opened.client.get_run(run).data.params) == 250
    assert points() == 2500


def test_one_request_takes_parameters_tags_and_the_points_that_there_is_room_for(monkeypatch):
    asked = []
    client = SimpleNamespace(log_batch=lambda run, **content: asked.append({k: len(v) for k, v in content.items()}))
    many = [store.Point("loss", 0.5, step, 1000) for step in range(900)]
    store.log(store.Store(client, "1"), "run", points=many, params=dict.fromkeys("ab", "1"), tags={"c": "1"})
    assert asked == [{"metrics": 800, "params": 2, "tags": 1}, {"metrics": 100, "params": 0, "tags": 0}]


def test_a_server_is_opened_by_many_at_once(clone, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    monkeypatch.setattr(store, "_experiment", lambda client, place: "1")
    monkeypatch.setattr(store, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.1)
    with held(clone / paths.MLFLOW_LOCK, "another training", waiting=pytest.fail), store.opened() as opened:
        assert opened.experiment == "1"


def test_an_experiment_that_another_process_makes_first_is_taken(tracked, monkeypatch):
    from mlflow import MlflowClient

    with store.opened() as opened:
        first, asked = opened.experiment, iter([None])
    there = MlflowClient.get_experiment_by_name
    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", lambda *words: next(asked, there(*words)))
    assert tracking.initialize() == first


def test_of_runs_that_two_made_at_once_the_older_stays(tracked, runs):
    with store.opened() as opened:
        made = [store.make_run(opened, {"orbweaver.key": "k"}, started=when) for when in (1000, 2000)]
        other = store.make_run(opened, {"orbweaver.key": "k", "orbweaver.repeat": "1"}, started=3000)
        store.delete_doubles(opened, store.every_run_of(opened, "k"))
    assert {run.info.run_id for run in runs()} == {made[0], other}


def test_where_there_is_no_store_there_is_no_run_and_none_is_made(clone):
    assert tracking.run_of("0" * 64) == ""
    assert list(clone.iterdir()) == [clone / "params.yaml"]


def test_the_run_of_an_experiment_is_the_parent_of_its_repeats(tracked, files, runs):
    files.experiment(tracked)
    tracking.publish(tracking.Folder(Path()))
    [parent] = [run.info.run_id for run in runs() if labels.REPEAT not in run.data.tags]
    assert tracking.run_of(tracking.read(tracking.Folder(Path())).key) == parent
