import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import limits
import pytest
from written_results import DATA

from pipeline import tracking
from pipeline.core.naming import UNNAMED
from pipeline.core.recipe import Tracking
from pipeline.tracking import background, failures, labels, live, load, store
from pipeline.tracking.results import key_of

ROOT = Path(__file__).parents[2]


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)
    return found


def child(runs):
    found = [run for run in runs() if labels.REPEAT in run.data.tags]
    assert len(found) <= 1
    return found[0] if found else None


def leave_behind(record, *, host, process):
    """A run that its process left as it is."""
    with store.opened() as opened:
        tags = labels.child_tags(record, UNNAMED) | {labels.KEY: key_of(record, DATA, [1]), live.HOST: host}
        run = store.make_run(opened, tags | {live.PROCESS: str(process)}, started=1000)
        store.log(opened, run, points=[store.Point("train_loss", 9.0, 1, 1000)])
    return run


def follow_to_the_end(record, rows):
    with tracking.follow(record, data_sha256=DATA, repeats=[1]) as going_on:
        for row in rows:
            going_on.log(row, row["epoch"])


def test_curves_and_parameters_are_there_while_the_training_goes_on(tracked, files, runs):
    with tracking.follow(files.record(1), data_sha256=DATA, repeats=[1]) as going_on:
        going_on.log(files.rows(1)[0], 1)
        run = wait_for(lambda: (run := child(runs)) and run.data.metrics and run)
        assert run.info.status == "RUNNING"
        assert run.data.metrics == {"lr": 0.001, "train_loss": 0.5, "train_accuracy": 0.25}
        assert run.data.params["network.freeze"] == "3b"


def test_the_machines_load_is_there_where_it_is_asked_for_and_a_gpus_that_cannot_be_read_is_said(
    tracked, files, runs, monkeypatch, capfd
):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    monkeypatch.setattr(load, "_has_gpu", lambda: True)
    monkeypatch.setattr(load, "find_spec", lambda name: None)
    with tracking.follow(files.record(1), data_sha256=DATA, repeats=[1], shown=Tracking(system_metrics=True)):
        run = wait_for(lambda: (run := child(runs)) and any("system/" in name for name in run.data.metrics) and run)
        assert "system/cpu_utilization_percentage" in run.data.metrics
    assert capfd.readouterr().err.splitlines() == [load.NO_GPU]
    assert child(runs).info.status == "FINISHED"


def test_the_machines_load_is_not_there_by_default(tracked, files, runs):
    follow_to_the_end(files.record(1), files.rows(1))
    assert not [name for name in child(runs).data.metrics if name.startswith("system/")]


def test_a_training_that_ends_leaves_a_finished_run_below_that_of_its_experiment(tracked, files, runs):
    follow_to_the_end(files.record(1), files.rows(1))
    run = child(runs)
    [parent] = [other for other in runs() if labels.REPEAT not in other.data.tags]
    assert (run.info.status, run.data.tags["mlflow.parentRunId"]) == ("FINISHED", parent.info.run_id)
    assert parent.data.params["repeats"] == "[1]"


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_training_that_does_not_end_says_how(tracked, files, runs, monkeypatch, error, status):
    # A busy machine may not send it within the second that a user has to wait.
    monkeypatch.setattr(live, "BROKEN_OFF_SECONDS", 60.0)
    with pytest.raises(error), tracking.follow(files.record(1), data_sha256=DATA, repeats=[1]):
        raise error
    assert {run.info.status for run in runs()} == {status}


def test_a_repeat_that_was_trained_to_its_end_is_not_logged_again(tracked, files, runs, points):
    follow_to_the_end(files.record(1), files.rows(1))
    before = child(runs).info.run_id, points()
    follow_to_the_end(files.record(1), files.rows(1))
    assert (child(runs).info.run_id, points()) == before


def test_a_failed_training_is_replaced_by_the_next(tracked, files, runs):
    with pytest.raises(ValueError, match="burnt"), tracking.follow(files.record(1), data_sha256=DATA, repeats=[1]):
        raise ValueError("burnt")
    follow_to_the_end(files.record(1), files.rows(1))
    assert sorted(run.info.status for run in runs()) == ["FINISHED", "RUNNING"]


def test_a_run_whose_process_is_gone_is_replaced(tracked, files, runs):
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = leave_behind(files.record(1), host=socket.gethostname(), process=gone.pid)
    follow_to_the_end(files.record(1), files.rows(1))
    assert child(runs).info.run_id != left
    assert child(runs).data.metrics["train_loss"] == 0.25


@pytest.mark.parametrize("host", [socket.gethostname(), "another"])
def test_a_run_whose_process_may_be_alive_is_left_alone(tracked, files, runs, points, host):
    left = leave_behind(files.record(1), host=host, process=os.getppid())
    follow_to_the_end(files.record(1), files.rows(1))
    assert (child(runs).info.run_id, points()) == (left, 1)


def test_a_short_training_is_left_to_the_report_and_waits_for_nothing(tracked, files, runs, monkeypatch):
    monkeypatch.setattr(live, "SHOWN_AFTER_SECONDS", 10.0)
    with limits.within(2, time.monotonic):
        follow_to_the_end(files.record(1), files.rows(1))
    assert runs() == []


def test_a_training_that_lasts_is_shown_from_its_first_epoch(tracked, files, runs, points, monkeypatch):
    monkeypatch.setattr(live, "SHOWN_AFTER_SECONDS", 0.2)
    with tracking.follow(files.record(1), data_sha256=DATA, repeats=[1]) as going_on:
        for row in files.rows(1):
            going_on.log(row, row["epoch"])
        run = wait_for(lambda: (run := child(runs)) and run.data.metrics and run)
        assert run.info.status == "RUNNING"
    assert points() == sum(len(row) - 2 for row in files.rows(1))


@pytest.mark.slow
def test_a_training_killed_outright_leaves_no_step_twice(tracked, files, runs, points):
    training = (
        "import sys, time\n"
        "from pipeline import tracking\n"
        "from pipeline.core.records import Record\n"
        "from pipeline.tracking import live\n"
        "live.SHOWN_AFTER_SECONDS = 0.0\n"
        "record = Record.model_validate_json(sys.argv[1])\n"
        "with tracking.follow(record, data_sha256=sys.argv[2], repeats=[1]) as run:\n"
        "    run.log({'train_loss': 9.0}, 1)\n"
        "    time.sleep(60)\n"
    )
    words = [sys.executable, "-c", training, files.record(1).model_dump_json(), DATA]
    with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        wait_for(lambda: points() == 1, seconds=60)
        process.send_signal(signal.SIGKILL)
    assert child(runs).info.status == "RUNNING"
    follow_to_the_end(files.record(1), files.rows(1))
    assert child(runs).data.metrics["train_loss"] == 0.25


@pytest.fixture
def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def silent_port():
    """A server that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def lines_of_a_training_without_a_server(port, monkeypatch, capfd, files):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(live, "CLOSING_SECONDS", 1.0)
    started = time.monotonic()
    follow_to_the_end(files.record(1), files.rows(1))
    assert time.monotonic() - started < 20
    return capfd.readouterr().err.splitlines()


def test_a_server_that_is_not_there_costs_one_line(clone, monkeypatch, capfd, files, closed_port):
    lines = lines_of_a_training_without_a_server(closed_port, monkeypatch, capfd, files)
    assert len(lines) == 1
    assert lines[0].startswith(f"mlflow: http://127.0.0.1:{closed_port}: does not answer (Connection refused); ")
    assert lines[0].endswith("; the training goes on; `orbweaver sync` fills this in later")


def test_a_server_that_comes_back_is_sent_all_of_a_training_that_goes_on(tracked, files, runs, points, monkeypatch):
    away = iter(["before", "at the end"])

    def fails_at_first(work):
        def asked(*words, **values):
            if next(away, None):
                raise failures.AwayError("http://host: does not answer")
            return work(*words, **values)

        return asked

    monkeypatch.setattr(background, "ASK_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(live, "opened", fails_at_first(store.opened))
    with tracking.follow(files.record(1), data_sha256=DATA, repeats=[1]) as going_on:
        wait_for(lambda: child(runs))
        away = iter(["while it is sent"])
        monkeypatch.setattr(live, "log", fails_at_first(store.log))
        going_on.log(files.rows(1)[0], 1)
        wait_for(lambda: points() == 3)
    assert child(runs).info.status == "FINISHED"


def test_a_server_that_never_answers_costs_one_line(clone, monkeypatch, capfd, files, silent_port):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    lines = lines_of_a_training_without_a_server(silent_port, monkeypatch, capfd, files)
    assert lines == ["mlflow: not done after another 1 s; the training goes on; `orbweaver sync` fills this in later"]
    [left] = [thread for thread in threading.enumerate() if thread.name == "mlflow"]
    left.join()
    assert capfd.readouterr().err == ""
