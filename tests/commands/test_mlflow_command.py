import os
import socket
import sys
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

from pipeline.commands import mlflow
from pipeline.core.errors import InputError


@pytest.fixture
def became(monkeypatch):
    """What this process would have become."""
    calls = []
    monkeypatch.setattr(os, "execve", lambda *words: calls.append(words))
    return calls


def test_the_server_is_started_on_the_local_store_without_its_job_runner(tracked, became, capsys):
    mlflow.serve({"MLFLOW_DISABLE_TELEMETRY": "false"}, port=5001)
    [(program, words, environment)] = became
    store = ["--backend-store-uri", f"sqlite:///{tracked}/mlflow.db"]
    assert (program, words) == (
        sys.executable,
        [sys.executable, "-m", "mlflow", "server", *store, "--workers", "1", "--host", "127.0.0.1", "--port", "5001"],
    )
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "false"
    page = "#/experiments/1/runs?workflowType=machine_learning&compareRunsMode=CHART"
    assert capsys.readouterr().out == f"MLflow: http://127.0.0.1:5001/{page} (Ctrl-C ends it)\n"


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "http://0.0.0.0:5001/"), ("::1", "http://[::1]:5001/")])
def test_another_address_is_the_users_word_alone(host, shown, tracked, became, capsys, monkeypatch):
    monkeypatch.setattr(mlflow, "sync", lambda: None)
    # A machine may have no IPv6.
    monkeypatch.setattr(mlflow, "check_free", lambda *_: None)
    monkeypatch.setenv("MLFLOW_HOST", "192.0.2.1")
    mlflow.command.main(["--port", "5001", "--host", host], standalone_mode=False)
    mlflow.command.main(["--port", "5001"], standalone_mode=False)
    hosts = [words[words.index("--host") + 1] for _, words, _ in became]
    assert hosts == [host, "127.0.0.1"]
    assert capsys.readouterr().out.startswith(f"MLflow: {shown}")


def test_a_server_of_the_users_is_only_named(clone, became, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@runs.example.org")
    mlflow.serve({}, port=5000)
    assert became == []
    assert capsys.readouterr().out == "MLflow: https://runs.example.org\n"


def test_an_address_that_cannot_be_listened_on_is_refused_before_anything_is_brought_up_to_date(tracked, monkeypatch):
    monkeypatch.setattr(mlflow, "sync", Mock(side_effect=AssertionError))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(mlflow.command, ["--port", str(port)])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == (
        f"--host 127.0.0.1 --port {port}: Address already in use; choose another port or address"
    )
    done = CliRunner().invoke(mlflow.command, ["--host", "203.0.113.9"])
    assert str(done.exception).startswith("--host 203.0.113.9 --port 5050: Cannot assign requested address; choose")
    mlflow.check_free("127.0.0.1", port)
