"""The output of git, as far as there is an answer."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.core import git


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
