"""A tiny project; and for the tests of MLflow a clone of the user's, and the metrics files of an experiment in it.

Importing it imports no torch: pytest-xdist does that once more, before any worker starts, where no test runs.
"""

import contextlib
import gc
import json
import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import written_results
from filelock import FileLock

from pipeline import tracking
from pipeline.core import digests, seeding
from pipeline.evaluation.compare.repeats import read as read_repeat
from pipeline.reporting import confidence_intervals
from pipeline.tracking import live, store

# Small copies of the published sets, and a server that gives them: for tests of stages and of whole runs too.
sys.path.append(str(Path(__file__).parent / "datasets"))
# The proof of the advice, whose rules are tested.
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))


# Until all tests are collected next to nothing is garbage.
gc.disable()


def pytest_collection_finish():
    """Thousands of tests and all modules stay to the end: no garbage collection has to look at them."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure():
    """At the end all of it is garbage; libraries complain of what is left."""
    gc.unfreeze()


def pytest_configure():
    """A shell's background job ignores Ctrl-C, one of nohup a hangup, and so would the processes that tests stop."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """The cores that we may use; pytest-xdist would count those of the machine without hyper-threading."""
    return seeding.cores()


@pytest.fixture(scope="session", autouse=True)
def no_probe():
    """No frozen probe where stages are called in this process: it takes a second of each, and `probe` looks at it."""
    from pipeline.bank import probing

    probed = probing.probed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probing, "probed", lambda *_: probing.Probed("a test that does without", None, np.empty(0, int)))
        yield probed


@pytest.fixture
def probe(monkeypatch, no_probe):
    """The frozen probe as it is."""
    from pipeline.bank import probing

    monkeypatch.setattr(probing, "probed", no_probe)


CLASSES = ("Araneus diadematus", "C#")


def make_record(repeat=1, *, freeze="3b", lr=0.001):
    options = {"options.schedule.step.at": [0.5, 0.75]}
    changes = {"train.lr": lr, "train.schedule": "step", "network.freeze": freeze}
    recipe = written_results.settings_of("quick", changes | options)
    counted = {
        "parameters": {"trainable": 10, "frozen": 90, "regularizer": 0},
        "parts": {"train": 14, "val": 0, "test": 6},
    }
    return written_results.record_of(repeat, recipe, data_set="synthetic", classes=CLASSES, **counted)


def curve_rows(repeat, epochs=3):
    return [
        {
            "epoch": epoch,
            "iteration": epoch * 2,
            "lr": 0.001,
            "train_loss": 1 / (epoch + repeat),
            "train_accuracy": epoch / (epochs + repeat),
        }
        for epoch in range(1, epochs + 1)
    ]


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_repeat(root, record, *, accuracy, seconds):
    repeat = record.repeat
    runtime = {
        "train_seconds": seconds,
        "epoch_seconds": [seconds / 3] * 3,
        "device_name": "a CPU, 2 cores",
        "versions": {"python": "3.11.7", "torch": "2.5.0"},
        "git_commit": "f" * 40,
        "started": "2026-01-02T03:04:05+00:00",
    }
    written_results.write_trained(record, curve_rows(repeat), written_results.runtime_of(**runtime), root=root)
    numbers = {"precision": accuracy, "recall": accuracy, "f1": accuracy, "support": 3}
    equal = dict.fromkeys(("accuracy", "macro_f1", "balanced_accuracy"), accuracy)
    folder = root / f"metrics/evaluate/{repeat}"
    write_text(folder / "predictions.csv", "path,actual,predicted,confidence,correct\na.png,C#,C#,0.9,1\n")
    scores = written_results.scores_of([[3, 0], [0, 3]], CLASSES, classes=dict.fromkeys(CLASSES, numbers), **equal)
    scores.write(folder / "scores.json")
    digests.seal(folder)


def write_experiment(root, *, repeats=(1, 2), freeze="3b", seconds=12.0, accuracy=0.5):
    """The files of one experiment in a folder, as its stages leave them, with a dvc.lock; returns its records."""
    accuracies = {repeat: accuracy + repeat / 10 for repeat in repeats}
    records = [make_record(repeat, freeze=freeze) for repeat in repeats]
    for record in records:
        write_repeat(root, record, accuracy=accuracies[record.repeat], seconds=seconds)
    mean = sum(accuracies.values()) / len(repeats)
    tested = [read_repeat(tracking.Folder(root), repeat) for repeat in repeats]
    written_results.write_json(root / "metrics/summary.json", confidence_intervals.summary(tested))
    write_text(root / "metrics/report/summary.md", f"accuracy {mean}\n")
    write_text(root / "metrics/report/figures/curves.svg", "<svg/>")
    lock = {"stages": {"preprocess": {"outs": [{"path": "data/packed", "md5": "a" * 32 + ".dir"}]}}}
    lock["stages"]["report"] = {"outs": [{"path": "metrics/summary.json", "md5": "b" * 32}]}
    write_text(root / "dvc.lock", json.dumps(lock))
    return records


def clean(monkeypatch):
    """Nothing of DVC or MLflow from outside, and what we set ourselves goes when the test ends."""
    for name in list(os.environ):
        if name.startswith(("DVC_", "MLFLOW_")):
            monkeypatch.delenv(name)
    # Trainings in tests are short, and shown all the same.
    monkeypatch.setattr(live, "SHOWN_AFTER_SECONDS", 0.0)
    for name, value in {**store.QUIET, "DVC_NO_ANALYTICS": "1", "DVC_TEST": "true"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder that is the user's clone, where this process is; it has no MLflow store yet."""
    clean(monkeypatch)
    root = tmp_path / "my clone é"
    write_text(root / "params.yaml", "recipe: quick\n")
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def shared(request, tmp_path_factory):
    """`shared(name, make)`: a folder that `make` fills once, in the first worker to ask, and all workers read."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "shared"

    def once(name, make):
        # Filled where it stays: what is made may name its own place, as MLflow's store does.
        place, whole = folder / name, folder / f"{name}.whole"
        folder.mkdir(exist_ok=True)
        with FileLock(f"{place}.lock"):
            if not whole.exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                make(place)
                whole.touch()
        return place

    return once


@pytest.fixture(scope="session")
def empty_database(shared):
    """A store with nothing in it, made once: that takes seconds."""

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            clean(patch)
            patch.chdir(folder)
            tracking.initialize()

    return shared("empty store", make) / "mlflow.db"


@pytest.fixture
def tracked(clone, empty_database):
    """A clone with a store of its own, and a client that asks it."""
    shutil.copyfile(empty_database, clone / "mlflow.db")
    with contextlib.closing(sqlite3.connect(clone / "mlflow.db")) as connection, connection:
        where = ((clone / "mlruns").as_uri(), "orbweaver")
        connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", where)
    return clone


@pytest.fixture
def files():
    """The writers of the files that MLflow shows."""
    return SimpleNamespace(experiment=write_experiment, record=make_record, rows=curve_rows)


@pytest.fixture
def runs(clone):
    """Every run that is in the clone's store now, the newest first."""

    def ask():
        from mlflow import MlflowClient

        client = MlflowClient(tracking.uri())
        found = client.get_experiment_by_name("orbweaver")
        return list(client.search_runs([found.experiment_id])) if found else []

    return ask


@pytest.fixture
def points(runs):
    """How many values of metrics the store holds."""

    def count():
        with contextlib.closing(sqlite3.connect("mlflow.db")) as connection:
            return connection.execute("SELECT count(*) FROM metrics").fetchone()[0]

    return count


@pytest.fixture
def unfollowed(monkeypatch):
    """Trainings that MLflow does not hear of; gives the rows and steps that it would have been sent."""
    logged = []

    @contextlib.contextmanager
    def follow(record, *, data_sha256, repeats, naming, shown):
        yield SimpleNamespace(log=lambda row, step: logged.append((row, step)))

    monkeypatch.setattr(tracking, "follow", follow)
    return logged


@pytest.fixture
def narrow(monkeypatch):
    """ResNets of few channels under the names of the table."""
    tiny.narrow(monkeypatch)


@pytest.fixture
def uncharted(monkeypatch):
    """Reports without charts."""
    tiny.draw_no_charts(monkeypatch)


@pytest.fixture
def float32():
    """Returns what float32 means on CUDA, by operation; in the end it means what it does without being asked."""
    import torch

    backends = torch.backends
    places = {"products": backends.cuda.matmul, "convolutions": backends.cudnn.conv, "recurrent": backends.cudnn.rnn}
    yield lambda: {name: place.fp32_precision for name, place in places.items()}
    backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = False, True


@pytest.fixture(scope="session")
def prepared(shared):
    """A tiny project in which everything before training has been made; to be copied, not changed."""

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            tiny.narrow(patch)
            tiny.enter(folder, patch)
            tiny.write_params()
            tiny.chain(end="source")

    return shared("prepared", make)


@pytest.fixture
def bare(tmp_path, monkeypatch, narrow, unfollowed):
    """A project in which nothing is made yet, where this process is.

    Networks are narrow, speeds are measured for a moment, and MLflow hears of nothing (see `unfollowed`).
    """
    from pipeline.assembly import run_record

    monkeypatch.setattr(run_record, "MEASURED_SECONDS", 0.01)
    monkeypatch.setattr(tracking, "try_publish", lambda files, **_: None)
    return tiny.enter(tmp_path / "project", monkeypatch)


@pytest.fixture
def project(prepared, bare):
    """A copy of `prepared`, where this process is."""
    return tiny.copied(prepared, bare)
