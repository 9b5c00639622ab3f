"""The output of git, as far as there is an answer."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.commands import doctor
from pipeline.core import git
from pipeline.core.errors import InputError
from pipeline.experiments import cloning, reading, revisions
from pipeline.running import cells


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {"NAME": "A", "EMAIL": "a@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "a line\u2028and more"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_lines_end_where_git_ends_them(repository: Path) -> None:
    assert git.lines(repository, "log", "--format=%s%n%an") == ["a line\u2028and more", "A"]
    assert git.lines(repository, "stash", "list") == []


def test_names_that_are_no_utf_8_are_those_of_the_files(repository: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (repository / name).touch()
    assert git.lines(repository, "-c", "core.quotePath=false", "ls-files", "--others") == [name]


def test_without_a_revision_a_repository_or_git_there_is_no_answer(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("rev-parse", "--verify", "--quiet", "refs/heads/none")
    assert (git.printed(repository, *asked), git.lines(repository, *asked)) == (None, [])
    assert git.printed(tmp_path_factory.mktemp("plain"), "status") is None
    monkeypatch.setenv("PATH", "")
    assert (git.printed(repository, "status"), git.lines(repository, "status")) == (None, [])


def test_where_git_refuses_another_users_clone_each_command_says_so_with_the_way_out(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git.check_owner(repository)
    # Of git's own tests: a repository is another user's, whoever runs them.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr(cloning, "environment", lambda: os.environ)
    monkeypatch.chdir(repository)
    line = (
        f"{repository}: git refuses it, as it belongs to another user; "
        f"`git config --global --add safe.directory {repository}`"
    )
    for ask in (git.check_owner, cells.finished, revisions.experiments, lambda root: cloning.resolved(root, "base")):
        with pytest.raises(InputError) as raised:
            ask(repository)
        assert str(raised.value) == line
    with pytest.raises(InputError, match="git refuses it"):
        reading.files_of("base")
    assert f"project: `dvc exp run` and studies would stop: {line}" in list(doctor.project_lines(repository))


def test_a_repository_without_a_name_is_told_with_both_commands(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> list[str]:
        return [line for line in doctor.project_lines(repository) if "git config --global user" in line]

    assert said() == []
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{who}_NAME")
        monkeypatch.delenv(f"GIT_{who}_EMAIL")
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    (line,) = said()
    # As the line has it: a name alone is not enough.
    for setting, value in {"user.name": "A", "user.email": "a@example.org"}.items():
        assert f"`git config --global {setting} " in line
        assert said() == [line]
        subprocess.run(["git", "config", "--global", setting, value], check=True)
    assert said() == []
    monkeypatch.setenv("GIT_COMMITTER_NAME", "")
    assert said() == [line]
    assert not git.lacks_identity(tmp_path_factory.mktemp("plain"))
