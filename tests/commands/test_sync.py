import shutil
from pathlib import Path

import click.testing
import pytest
from written_results import DATA

from pipeline import tracking
from pipeline.commands import sync
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.experiments import syncing


def said():
    told = click.testing.CliRunner().invoke(sync.command, catch_exceptions=False)
    assert told.exit_code == 0
    return told.output.splitlines()


def test_a_clone_without_results_gets_an_empty_store(tracked):
    assert said() == [f"MLflow: no finished experiment yet, sqlite:///{tracked}/mlflow.db is ready"]


def test_whether_images_are_sent_is_read_from_params_yaml_whatever_else_is_in_it(tracked, files, runs):
    files.experiment(tracked)
    (tracked / "metrics/report/index.html").write_text("page", encoding="utf-8")
    for images in ("true", "false"):
        Path("params.yaml").write_text(f"recipe: gone\nmlflow:\n  images: {images}\n", encoding="utf-8")
        said()
        assert bool(list(Path("mlruns").glob("*/artifacts/report/index.html"))) == (images == "true")
    Path("params.yaml").write_text("mlflow:\n  images: perhaps\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^params\.yaml: mlflow\.images: 'perhaps'"):
        syncing.sync()


def test_without_a_bundle_there_is_no_model_to_add(tracked, files):
    with pytest.raises(InputError, match=r"^models/bundle: no bundle: .*`orbweaver bundle` makes one$"):
        click.testing.CliRunner().invoke(sync.command, ["--models"], catch_exceptions=False)


def test_an_experiment_is_added_once(tracked, files):
    files.experiment(tracked)
    assert said() == ["MLflow: 1 experiment added"]
    assert said() == ["MLflow: 1 experiment already there"]


def test_an_experiment_that_is_in_two_places_is_counted_as_it_was_first_found(tracked, files, monkeypatch):
    files.experiment(tracked)
    places = [syncing.Experiment(name, tracking.Folder(Path()), (), False) for name in ("working tree", "HEAD")]
    monkeypatch.setattr(syncing, "experiments", lambda _root: places)
    assert said() == ["MLflow: 1 experiment added"]


def test_what_was_followed_only_is_completed(tracked, files):
    [record] = files.experiment(tracked, repeats=(1,))
    with tracking.follow(record, data_sha256=DATA, repeats=[1]):
        pass
    assert said() == ["MLflow: 1 experiment completed"]


def test_a_working_tree_with_files_missing_is_left_out_with_the_reason(tracked, files):
    files.experiment(tracked)
    shutil.rmtree("metrics/train/2")
    assert said() == [
        "working tree: left out: metrics/train/2/record.json: No such file or directory; `dvc repro` makes it again",
        "MLflow: 1 experiment with files missing",
    ]


def test_an_experiment_of_an_older_format_is_left_out_with_the_way_out(tracked, files):
    files.experiment(tracked)
    file = Path("metrics/runtime/1.json")
    file.write_text(file.read_text(encoding="utf-8").replace('"format": 4', '"format": 0'), encoding="utf-8")
    paths.digests(file).unlink()
    assert said() == [
        "working tree: left out: metrics/runtime/1.json: has format 0, but this version reads format 4; "
        "`dvc repro` makes it again",
        "MLflow: 1 experiment with files missing",
    ]


def test_another_folder_than_the_projects_root_is_refused(clone):
    Path("params.yaml").unlink()
    with pytest.raises(InputError, match=r"params\.yaml: no such file; run this in the project's root"):
        syncing.sync()


def test_a_server_that_is_not_there_is_an_error(clone, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"^http://127\.0\.0\.1:9: "):
        syncing.sync()


def test_a_deleted_database_comes_back(tracked, files, monkeypatch, runs):
    files.experiment(tracked)
    assert said() == ["MLflow: 1 experiment added"]
    Path("mlflow.db").unlink()
    # MLflow keeps a database open by its address, so that this process must meet the folder under another.
    monkeypatch.chdir(tracked.rename(tracked.with_name("renamed")))
    assert said() == ["MLflow: 1 experiment added"]
    assert sum("repeats" in run.data.params for run in runs()) == 1
