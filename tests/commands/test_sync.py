import os
import shutil
import subprocess
import sys
from pathlib import Path

import click.testing
import pytest

from pipeline import tracking
from pipeline.commands import sync
from pipeline.errors import InputError

ROOT = Path(__file__).parents[2]
MAKE = f"""
import shutil
import sys
from pathlib import Path

sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import yaml

from conftest import write_experiment

freeze = yaml.safe_load(Path("params.yaml").read_text())["freeze"]
write_experiment(Path("made"), freeze=str(freeze))
shutil.copytree("made/metrics", "metrics", dirs_exist_ok=True)
"""
DEFINITION = """
stages:
  all:
    cmd: python make.py
    deps: [make.py]
    params: [freeze]
    outs: [metrics/train, metrics/runtime, metrics/evaluate, metrics/report]
    metrics: [metrics/summary.json]
"""


def said():
    told = click.testing.CliRunner().invoke(sync.command, catch_exceptions=False)
    assert told.exit_code == 0
    return told.output.splitlines()


def call(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_clone_without_results_gets_an_empty_store(tracked):
    assert said() == [f"MLflow: no finished experiment yet, sqlite:///{tracked}/mlflow.db is ready"]


def test_an_experiment_is_added_once(tracked, files):
    files.experiment(tracked)
    assert said() == ["MLflow: 1 experiment added"]
    assert said() == ["MLflow: 1 experiment already there"]


def test_what_was_followed_only_is_completed(tracked, files):
    [record] = files.experiment(tracked, repeats=(1,))
    with tracking.follow(record, repeats=[1]):
        pass
    assert said() == ["MLflow: 1 experiment completed"]


def test_a_working_tree_with_files_missing_is_left_out_with_the_reason(tracked, files):
    files.experiment(tracked)
    shutil.rmtree("metrics/train/2")
    assert said() == [
        "working tree: left out: metrics/train/2/history.csv: No such file or directory",
        "MLflow: 1 experiment with files missing",
    ]


def test_another_folder_than_the_projects_root_is_refused(clone):
    Path("params.yaml").unlink()
    with pytest.raises(InputError, match=r"params\.yaml: no such file; run this in the project's root"):
        sync.sync()


def test_a_server_that_is_not_there_is_an_error(clone, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"^http://127\.0\.0\.1:9: "):
        sync.sync()


def test_a_deleted_database_comes_back(tracked, files, monkeypatch, runs):
    files.experiment(tracked)
    assert said() == ["MLflow: 1 experiment added"]
    Path("mlflow.db").unlink()
    # MLflow keeps a database open by its address, so that this process must meet the folder under another.
    monkeypatch.chdir(tracked.rename(tracked.with_name("renamed")))
    assert said() == ["MLflow: 1 experiment added"]
    assert sum("repeats" in run.data.params for run in runs()) == 1


@pytest.fixture
def project(tracked, monkeypatch):
    """A git and DVC repository with two DVC experiments, of which the second is also in the working tree."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    Path("make.py").write_text(MAKE, encoding="utf-8")
    Path("dvc.yaml").write_text(DEFINITION, encoding="utf-8")
    Path("params.yaml").write_text("freeze: 3b\n", encoding="utf-8")
    Path(".gitignore").write_text("/mlflow.db\n/mlruns/\n/made\n", encoding="utf-8")
    call("git", "init", "--quiet")
    call("git", "config", "user.email", "someone@example.org")
    call("git", "config", "user.name", "Someone")
    call("dvc", "init", "--quiet")
    call("git", "add", ".")
    call("git", "commit", "--quiet", "--message", "start")
    for name, freeze in (("first", "3a"), ("second", "3c")):
        call("dvc", "exp", "run", "--quiet", "--name", name, "--set-param", f"freeze={freeze}")
    return tracked


@pytest.mark.slow
def test_every_experiment_of_dvc_is_added_from_its_cache(project, runs):
    assert said() == ["MLflow: 2 experiments added"]
    assert said() == ["MLflow: 2 experiments already there"]
    named = {
        run.data.tags["strategy"]: run.data.tags.get("dvc.experiments")
        for run in runs()
        if "repeats" in run.data.params
    }
    assert named == {"3a": "first", "3c": "second"}


@pytest.mark.slow
def test_experiments_whose_files_are_not_in_the_cache_are_left_out(project):
    shutil.rmtree(".dvc/cache")
    assert said() == [
        "experiment first: left out: metrics/summary.json: not in DVC's cache",
        "experiment second: left out: metrics/summary.json: not in DVC's cache",
        "MLflow: 1 experiment added, 2 with files missing",
    ]
