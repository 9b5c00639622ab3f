"""MLflow on a server with Postgres, users and proxied artifacts, by the commands of docs/server.md without Docker."""

import contextlib
import os
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import clones
import pytest
import readme
import stubs
import tracking_server
from clones import Clone
from tracking_server import Server

from pipeline import tracking
from pipeline.tracking import labels, live

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(tracking_server.lacking()), reason=tracking_server.lacking() or "all is there"),
]
SECRETS = next(command for command in readme.commands() if command.endswith("> deploy/.env)"))
SERVE = next(command for command in readme.commands() if command.endswith("deploy/serve)"))
STUDY = """\
title: Mine
set: {repeats: [1], threads: 1, device: cpu}
grid: {freeze: ["1", 3c], budget: [2, 3]}
"""
ARTIFACTS = {"origin.json", "predictions.csv", "record.json", "runtime.json", "scores.json"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="server") as folder:
        place = Path(folder)
        place.chmod(0o755)
        clones.copy_project(place, "deploy")
        for again in (0, 1):
            # Secrets that a database knows already are not replaced.
            assert subprocess.run(["bash", "-c", SECRETS], cwd=place, stderr=subprocess.DEVNULL).returncode == again
        assert stat.S_IMODE((place / "deploy/.env").stat().st_mode) == 0o600
        with tracking_server.running(place, SERVE) as started:
            yield started


@pytest.fixture
def user(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Variables of a user and of an experiment of this test's own, which this process has too."""
    name = f"user-{tmp_path.name}"
    variables = server.made_user(name) | {"MLFLOW_EXPERIMENT_NAME": f"of {name}"}
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(live, "CLOSING_SECONDS", 120.0)
    monkeypatch.setattr(live, "SHOWN_AFTER_SECONDS", 0.0)
    return variables


def client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking.uri())


def runs() -> list[Any]:
    asked = client()
    experiment = asked.get_experiment_by_name(os.environ["MLFLOW_EXPERIMENT_NAME"])
    # On a busy machine the first of its runs is still to come.
    return list(asked.search_runs([experiment.experiment_id], max_results=1000)) if experiment else []


def history(run: Any, name: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in client().get_metric_history(run.info.run_id, name))


def children() -> list[Any]:
    return [run for run in runs() if labels.REPEAT in run.data.tags]


def test_four_cells_at_once_are_whole_and_one_is_made_again_from_its_run(stubbed: Clone, user: dict[str, str]) -> None:
    (stubbed.root / "mine.yaml").write_text(STUDY, encoding="utf-8")
    stubbed.environment |= user | {stubs.PUBLISHES: "1"}
    assert "1 experiment added" in stubbed.typed("orbweaver sync")
    assert "0 cells were there, 4 ran, 0 failed" in stubbed.run("orbweaver", "study", "run", "mine.yaml", "-j", "4")
    logs = [file.read_text(encoding="utf-8") for file in (stubbed.root / ".dvc/tmp/studies/mine").glob("*.log")]
    assert len(logs) == 4
    assert not [line for log in logs for line in log.splitlines() if line.startswith("mlflow:")]
    asked, parents = client(), {run.info.run_id for run in runs() if labels.REPEAT not in run.data.tags}
    cells = [run for run in children() if run.data.params["train.budget.amount"] != "1"]
    assert (len(parents), len(cells), len(runs())) == (5, 4, 10)
    assert {run.info.status for run in runs()} == {"FINISHED"}
    for cell in cells:
        assert cell.data.tags[labels.PARENT] in parents
        assert [len(history(cell, name)) for name in ("lr", "train_loss", "train_accuracy")] == [2, 2, 2]
        assert {artifact.path for artifact in asked.list_artifacts(cell.info.run_id)} >= ARTIFACTS
        assert cell.info.artifact_uri.startswith("mlflow-artifacts:/")
    recipes = {(cell.data.params["network.freeze"], cell.data.params["train.budget.amount"]) for cell in cells}
    assert len(recipes) == 4
    assert "5 experiments already there" in stubbed.typed("orbweaver sync")
    assert not (stubbed.root / "mlflow.db").exists()
    del stubbed.environment[stubs.PUBLISHES]
    told = stubbed.typed("orbweaver reproduce RUN_ID", put={"RUN_ID": cells[0].info.run_id})
    assert "identical: all" in told.splitlines()[-1]


def test_sixteen_trainings_at_once_lose_nothing_while_the_server_stands_still(
    server: Server,
    user: dict[str, str],
    files: SimpleNamespace,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    # What a busy machine takes is no loss.
    monkeypatch.setattr(live, "CLOSING_SECONDS", tracking_server.PATIENCE)
    wanted = [(step, 1 / step) for step in range(1, 31)]
    with contextlib.ExitStack() as stack:
        records = [files.record(1, lr=0.001 * number) for number in range(1, 17)]
        going_on = [stack.enter_context(tracking.follow(one, data_sha256="d" * 64, repeats=[1])) for one in records]
        for step, value in wanted:
            if step == 10:
                wait_until(lambda: len(children()) == 16)
                server.pause()
            if step == 20:
                time.sleep(3)
                server.go_on()
            for run in going_on:
                run.log({"train_loss": value}, step)
            time.sleep(0.1)
    assert [run.info.status for run in children()] == ["FINISHED"] * 16
    assert [history(run, "train_loss") for run in children()] == [wanted] * 16
    assert len(runs()) == 32
    assert capfd.readouterr().err == ""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + tracking_server.PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_bundle_is_registered_and_loaded_from_the_server(
    finished: tuple[Clone, str], user: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = clones.copied(finished[0], tmp_path)
    clone.environment |= user
    assert "1 experiment added" in clone.typed("orbweaver sync")
    clone.typed("orbweaver bundle")
    assert "version 1 has the alias champion: the first to have it" in clone.typed("orbweaver register models/bundle")
    assert "and has the alias champion already" in clone.typed("orbweaver register models/bundle")
    assert "already there" in clone.typed("orbweaver sync --models").splitlines()[-1]
    import mlflow

    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(user["MLFLOW_TRACKING_URI"])
    loaded = mlflow.pyfunc.load_model("models:/orbweaver-synthetic@champion")
    [answer] = loaded.predict(loaded.input_example)
    assert answer["class"] in loaded.metadata.metadata["classes"]


def test_who_may_not_is_told_in_a_line(server: Server, stubbed: Clone, user: dict[str, str]) -> None:
    tracking.initialize()
    stubbed.environment |= user | server.made_user("bob")
    refused = stubbed.run("orbweaver", "sync", code=1).splitlines()[-1]
    assert f"{server.address}: the user 'bob' may not do this (403): an admin of the server can give MANAGE" in refused
    stubbed.environment["MLFLOW_TRACKING_PASSWORD"] = "not this one"
    refused = stubbed.run("orbweaver", "sync", code=1).splitlines()[-1]
    assert f"{server.address}: refuses the user 'bob' with this password (401)" in refused
    del stubbed.environment["MLFLOW_TRACKING_USERNAME"]
    refused = stubbed.run("orbweaver", "sync", code=1).splitlines()[-1]
    assert re.search(r"asks who you are \(401\): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD$", refused)
