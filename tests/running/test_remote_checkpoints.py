"""Checkpoints of a cell in DVC's remote, for the node that begins it again."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from dvc.fs import LocalFileSystem

from pipeline.commands import worker
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.running import remote_checkpoints, sharing
from pipeline.running.executors.jobs import Job
from pipeline.running.remote_checkpoints import RemoteCheckpoints
from pipeline.running.remotes import Remotes

EXPERIMENT = "mine-c0-0123456789ab"
REMOTES = Remotes(git="bare", dvc="storage", options={})


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is DVC's remote."""
    place = tmp_path / "remote"
    cloud = SimpleNamespace(get_remote=lambda _: SimpleNamespace(fs=LocalFileSystem(), path=str(place)))

    @contextlib.contextmanager
    def opened(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(cloud=cloud)

    monkeypatch.setattr(remote_checkpoints, "opened", opened)
    return place


def write(project: Path, number: int) -> Path:
    """A training's checkpoint in place of the one before."""
    folder = project / paths.CHECKPOINTS / "key"
    folder.mkdir(parents=True, exist_ok=True)
    before = list(folder.iterdir())
    content = f"state {number}".encode()
    file = folder / f"{number:08d}-{hashlib.sha256(content).hexdigest()}.pt"
    file.write_bytes(content)
    for one in before:
        one.unlink()
    return file


def contents(place: Path) -> list[str]:
    return sorted(file.read_text(encoding="utf-8") for file in place.rglob("*") if file.is_file())


def test_another_node_has_the_last_one_and_a_finished_cell_leaves_none(remote: Path, tmp_path: Path) -> None:
    first = RemoteCheckpoints(tmp_path / "first", REMOTES, EXPERIMENT)
    first.bring()
    for number in (1, 2):
        last = write(tmp_path / "first", number)
        first.give()
        assert contents(remote) == [f"state {number}"]
    second = RemoteCheckpoints(tmp_path / "second", REMOTES, EXPERIMENT)
    second.bring()
    there = tmp_path / "second" / last.relative_to(tmp_path / "first")
    assert there.read_bytes() == last.read_bytes()
    other = RemoteCheckpoints(tmp_path / "third", REMOTES, "mine-c1-ba9876543210")
    other.bring()
    assert not contents(tmp_path / "third")
    second.drop()
    assert contents(remote) == []


def test_it_is_looked_for_once_a_minute(remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(remote_checkpoints.time, "monotonic", lambda: now[0])
    checkpoints = RemoteCheckpoints(tmp_path / "first", REMOTES, EXPERIMENT)
    write(tmp_path / "first", 1)
    for moment, shared in ((59.0, []), (61.0, ["state 1"])):
        now[0] = moment
        checkpoints.follow()
        assert contents(remote) == shared
    write(tmp_path / "first", 2)
    now[0] = 100.0
    checkpoints.follow()
    assert contents(remote) == ["state 1"]


def test_a_remote_that_fails_costs_the_checkpoint_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextlib.contextmanager
    def opened(*_: object) -> Iterator[None]:
        raise InputError("DVC's remote 'storage': Access Denied")
        yield

    monkeypatch.setattr(remote_checkpoints, "opened", opened)
    checkpoints = RemoteCheckpoints(tmp_path, REMOTES, EXPERIMENT)
    write(tmp_path, 1)
    checkpoints.give()
    assert capsys.readouterr().out.startswith(f"{EXPERIMENT}: no checkpoint was shared: DVC's remote 'storage': Access")


@pytest.mark.parametrize("moment", ["while it trains", "in the end"])
def test_a_remote_that_hangs_costs_a_node_whose_time_is_over_no_second(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hangs, answers = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        hangs.set()
        answers.wait(60)

    def status() -> None:
        # The warning comes while the remote hangs.
        if moment == "in the end" or hangs.is_set():
            request.reason = "SIGUSR1"

    monkeypatch.setattr(sharing, "clone", lambda _, folder, **__: folder)
    monkeypatch.setattr(sharing, "check", lambda *_: None)
    monkeypatch.setattr(sharing, "forget_lost", lambda *_: None)
    monkeypatch.setattr(sharing, "give_stages", lambda *_: None)
    monkeypatch.setattr(RemoteCheckpoints, "bring", lambda _: None)
    monkeypatch.setattr(RemoteCheckpoints, "follow" if moment == "while it trains" else "give", hang)
    monkeypatch.setattr(worker, "SHARING", 0.2)
    stopped: list[float] = []
    process = SimpleNamespace(status=status, stop=lambda patience, **_: stopped.append(patience))
    monkeypatch.setattr(worker, "CellProcess", lambda *_, **__: process)
    request = worker.StopRequest()
    place = {"root": tmp_path, "cache": tmp_path, "commit": "a", "changes": "a", "scratch": "/"}
    job = Job(**place, experiment=EXPERIMENT, overrides=(), remotes=REMOTES)
    assert worker.run(job, tmp_path / "node", request) == worker.STOPPED
    assert hangs.is_set()
    assert not answers.is_set()
    assert stopped == [90.0]
    said = f"{EXPERIMENT}: a remote does not answer; what it does not have is computed again\n"
    assert capsys.readouterr().out == said
    answers.set()
    for thread in threading.enumerate():
        if thread.name == "checkpoints":
            thread.join()


def test_a_node_whose_time_is_over_shares_its_checkpoint_and_its_finished_stages(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: float, **__: object) -> None:
        write(tmp_path / "node/clone", 7)

    def clone(_: object, folder: Path, **__: object) -> Path:
        return folder

    def refuse(*_: object) -> None:
        asked.append("stages")
        raise InputError("it does not answer")

    asked: list[str] = []
    monkeypatch.setattr(sharing, "clone", clone)
    monkeypatch.setattr(sharing, "check", lambda *_: asked.append("check"))
    monkeypatch.setattr(sharing, "forget_lost", lambda *_: asked.append("forget"))
    monkeypatch.setattr(sharing, "give_stages", refuse)
    process = SimpleNamespace(status=lambda: None, stop=stop)
    monkeypatch.setattr(worker, "CellProcess", lambda *_, **__: process)
    request = worker.StopRequest()
    request.reason = "SIGUSR1"
    place = {"root": tmp_path, "cache": tmp_path, "commit": "a", "changes": "a", "scratch": "/"}
    job = Job(**place, experiment=EXPERIMENT, overrides=(), remotes=REMOTES)
    # With the status of one that is queued again.
    assert worker.run(job, tmp_path / "node", request) == worker.STOPPED
    assert contents(remote) == ["state 7"]
    assert asked == ["check", "forget", "stages"]
