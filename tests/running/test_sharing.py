"""Experiments that go through a remote of git and one of DVC: in which order, and what each refusal leaves."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from two_remotes import KEYS, REFERENCES, Machine

from pipeline.commands import worker
from pipeline.core.errors import InputError
from pipeline.experiments import cloning
from pipeline.running import cell_runs, cells, remotes, sharing
from pipeline.running.executors.jobs import Job
from pipeline.running.remotes import IncompleteError, Remotes


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    (made.root / "file").write_text("committed", encoding="utf-8")
    monkeypatch.chdir(made.root)
    return made


class Data:
    """A stand-in for DVC's data: what was asked of it, and the references that git's remote had then."""

    def __init__(self, machine: Machine, *, whole: bool = True, refuses: str = "") -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self._machine, self._whole, self._refuses = machine, whole, refuses
        out = SimpleNamespace(use_cache=True, changed_cache=lambda: not self._whole)
        self.index = SimpleNamespace(outs=[out])

    def brancher(self, **_: object) -> Iterator[str]:
        yield ""

    def push(self, **_: object) -> None:
        self.calls.append(("push", self._machine.shared()))
        if self._refuses:
            raise InputError(self._refuses)

    def fetch(self, **_: object) -> None:
        self.calls.append(("fetch", list(cells.finished(self._machine.root))))

    @contextlib.contextmanager
    def opened(self, *_: object) -> Iterator["Data"]:
        yield self


def data(machine: Machine, monkeypatch: pytest.MonkeyPatch, *, whole: bool = True, refuses: str = "") -> Data:
    made = Data(machine, whole=whole, refuses=refuses)
    monkeypatch.setattr(sharing, "opened", made.opened)
    return made


def test_data_goes_before_the_reference(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = data(machine, monkeypatch)
    machine.finish(KEYS[0])
    assert sharing.give(machine.root, machine.remotes, KEYS) == 1
    assert pushed.calls == [("push", [])]
    assert machine.shared() == [REFERENCES[KEYS[0]]]
    assert sharing.give(machine.root, machine.remotes, KEYS) == 0
    assert len(pushed.calls) == 1


def test_no_reference_goes_whose_data_was_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    data(machine, monkeypatch, refuses="Access Denied")
    machine.finish(KEYS[0])
    with pytest.raises(InputError, match="Access Denied"):
        sharing.give(machine.root, machine.remotes, KEYS)
    assert machine.shared() == []


def test_no_reference_goes_whose_data_is_neither_here_nor_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = data(machine, monkeypatch, whole=False)
    machine.finish(*KEYS)
    with pytest.raises(IncompleteError, match=f"mine-c0-{KEYS[0]} stays here: .* neither in DVC's cache nor in its"):
        sharing.give(machine.root, machine.remotes, KEYS)
    assert [name for name, _ in asked.calls] == ["fetch", "fetch"]
    assert machine.shared() == []


def test_an_experiment_is_here_only_when_its_data_is(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.finish(KEYS[0])
    machine.run("git", "push", "--quiet", "origin", REFERENCES[KEYS[0]])
    machine.run("git", "update-ref", "-d", REFERENCES[KEYS[0]])
    data(machine, monkeypatch, whole=False)
    with pytest.raises(IncompleteError, match=r"is not in DVC's; `git push .* takes the reference away"):
        sharing.bring(machine.root, machine.remotes, KEYS)
    assert not cells.finished(machine.root)
    data(machine, monkeypatch)
    assert sharing.bring(machine.root, machine.remotes, KEYS) == 1
    assert list(cells.finished(machine.root)) == [KEYS[0]]


def test_an_experiment_whose_data_is_lost_stops_no_study(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data(machine, monkeypatch, whole=False)
    machine.finish(KEYS[0])
    monkeypatch.setattr(cell_runs, "named_remotes", lambda _: machine.remotes)
    assert list(cell_runs.finished([SimpleNamespace(key=KEYS[0])])) == [KEYS[0]]
    assert f"remotes: {REFERENCES[KEYS[0]]} stays here" in capsys.readouterr().err


def test_what_git_refuses_is_one_line_with_its_reason(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    data(machine, monkeypatch)
    machine.finish(KEYS[0])
    machine.refuse()
    with pytest.raises(InputError) as caught:
        sharing.give(machine.root, machine.remotes, KEYS)
    assert str(caught.value) == f"git's remote {machine.bare}: remote: closed for today; pre-receive hook declined"


def test_a_cell_that_another_machine_finished_just_then_is_no_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def push(**_: object) -> None:
        machine.run("git", "commit", "--quiet", "--allow-empty", "--message", "theirs")
        machine.run("git", "push", "--quiet", "origin", f"HEAD:{REFERENCES[KEYS[0]]}")

    monkeypatch.setattr(data(machine, monkeypatch), "push", push)
    machine.finish(KEYS[0])
    assert sharing.give(machine.root, machine.remotes, KEYS) == 1


def test_a_commit_is_kept_for_the_nodes_of_one_study_and_no_other(machine: Machine) -> None:
    machine.finish()
    commit = machine.run("git", "rev-parse", "HEAD")
    mine, other = (sharing.keep_commit(machine.root, machine.remotes, commit, study) for study in ("mine", "other"))
    assert sorted(machine.shared()) == sorted([mine, other])
    assert mine.startswith(cloning.CHANGES)
    sharing.drop_commit(machine.root, machine.remotes, commit, "mine")
    assert machine.shared() == [other]


def test_a_node_trains_nothing_that_a_remote_would_refuse(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.finish()
    folder, commit = machine.root, machine.run("git", "rev-parse", "HEAD")
    shared = {"root": folder, "cache": folder, "commit": commit, "changes": commit, "overrides": (), "scratch": "/"}
    job = Job(**shared, experiment="mine-c0", remotes=machine.remotes, reference="refs/heads/main")
    machine.run("git", "push", "--quiet", "origin", "main")
    started: list[object] = []
    monkeypatch.setattr(worker, "CellProcess", lambda *words, **_: started.append(words))
    monkeypatch.setattr(worker.time, "sleep", lambda _: None)

    def refuse(*_: object) -> None:
        raise InputError("DVC's remote 'storage': Access Denied")

    monkeypatch.setattr(sharing, "check", refuse)
    with pytest.raises(InputError, match="Access Denied"):
        worker.run(job, folder.parent / "node", worker.StopRequest())
    assert not started


def test_a_git_server_that_refuses_for_a_moment_fails_no_cell(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.root / ".dvc").mkdir()
    (machine.root / ".dvc/config").touch()
    machine.finish(KEYS[0])
    machine.run("git", "push", "--quiet", "origin", "main", REFERENCES[KEYS[0]])
    folder, commit = machine.root, machine.run("git", "rev-parse", "HEAD")
    shared = {"root": folder, "cache": folder, "commit": commit, "changes": commit, "overrides": (), "scratch": "/"}
    job = Job(**shared, experiment=f"mine-c0-{KEYS[0]}", remotes=machine.remotes, reference="refs/heads/main")
    git, words_of, waited = sharing.git, list[str](), list[float]()

    def at_times(at: Path, remotes: Remotes, *words: str) -> str:
        words_of.append(words[0])
        # The first of each kind.
        if words_of.count(words[0]) == 1:
            raise InputError("git's remote: kex_exchange_identification: Connection closed")
        return git(at, remotes, *words)

    monkeypatch.setattr(sharing, "git", at_times)
    monkeypatch.setattr(sharing, "check", lambda *_: None)
    monkeypatch.setattr(worker.time, "sleep", waited.append)
    assert worker._is_there(job)
    (tmp_path / "node").mkdir()
    assert (worker.copy(job, tmp_path / "node/clone") / ".dvc/config").exists()
    # A fetch that is refused leaves a folder, which the next clone would not take.
    assert words_of == ["ls-remote", "ls-remote", "clone", "clone", "fetch", "clone", "fetch"]
    assert 30 < sum(worker.WAITS) < 90
    assert len(waited) == 3


def test_a_node_may_call_remotes_as_its_user_does(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.root / ".dvc").mkdir()
    (machine.root / ".dvc/config").touch()
    machine.finish()
    machine.run("git", "push", "--quiet", "origin", "main")
    commit = machine.run("git", "rev-parse", "HEAD")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[clone]\n    defaultRemoteName = upstream\n", encoding="utf-8")
    where = {"reference": "refs/heads/main", "commit": commit, "changes": commit, "prefix": ""}
    project = sharing.clone(machine.remotes, tmp_path / "node", **where)
    assert (project / ".dvc/config").exists()


def named(machine: Machine, git: str, url: str) -> Remotes | None:
    """The remotes of where.yaml, with these addresses."""
    machine.run("git", "remote", "set-url", "origin", git)
    (machine.root / ".dvc").mkdir()
    (machine.root / ".dvc/config").write_text(f"['remote \"storage\"']\n    url = {url}\n", encoding="utf-8")
    (machine.root / "where.yaml").write_text("remotes: {git: origin, dvc: storage}\n", encoding="utf-8")
    return remotes.named_remotes(machine.root)


def test_places_on_this_machine_are_whole_paths_for_a_node(machine: Machine) -> None:
    assert named(machine, "../bare.git", "../../data") == machine.remotes


@pytest.mark.parametrize(
    ("git", "url", "line"),
    [
        ("https://me:sesame@example.org/x.git", "s3://bucket/x", "remotes.git: a password or token is in the remote's"),
        (f"https://ghp_{'sesame' * 6}@example.org/x.git", "s3://bucket/x", "remotes.git: a password or token is in"),
        ("ssh://git@example.org/x.git", "ssh://me:sesame@example.org/x", "remotes.dvc: a password or token is in the"),
    ],
)
def test_a_password_in_an_address_goes_into_no_job(machine: Machine, git: str, url: str, line: str) -> None:
    with pytest.raises(InputError, match=f"^where.yaml: {line}") as caught:
        named(machine, git, url)
    assert "sesame" not in str(caught.value)
