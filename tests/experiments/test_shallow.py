"""Clones of a clone that was made with `git clone --depth`."""

import subprocess
from pathlib import Path

import pytest

from pipeline.experiments import cloning
from pipeline.running import cell_clones

EXPERIMENTS = ("refs/exps/aa/bb/one", "refs/exps/aa/bb/two")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(("git", *words), cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, content: str) -> str:
    (folder / "file").write_text(content, encoding="utf-8")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "--message", content)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def shallow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shallow clone with an experiment that no branch of it has."""
    for name, value in {"NAME": "A", "EMAIL": "a@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    whole, clone = tmp_path / "whole", tmp_path / "its shallow"
    git(tmp_path, "init", "--quiet", str(whole))
    for content in ("first", "second"):
        commit(whole, content)
    git(tmp_path, "clone", "--quiet", "--depth=1", whole.as_uri(), str(clone))
    git(clone, "update-ref", EXPERIMENTS[0], commit(clone, "experiment"))
    git(clone, "reset", "--quiet", "--hard", "HEAD~1")
    return clone


def test_an_experiment_of_a_shallow_clone_is_checked_out(shallow: Path, tmp_path: Path) -> None:
    revision = git(shallow, "rev-parse", EXPERIMENTS[0])
    made = cloning.make(shallow, tmp_path / "made", revision)
    assert (made / "file").read_text(encoding="utf-8") == "experiment"
    assert git(made, "rev-parse", "HEAD") == revision
    git(made, "fsck")


def test_what_a_cell_gave_in_a_shallow_clone_is_fetched_from_its_copy(shallow: Path) -> None:
    cell = cell_clones.ProjectSnapshot(shallow, cache=str(shallow / "cache")).copy_to(shallow.parent / "cell")
    git(cell, "update-ref", EXPERIMENTS[1], commit(cell, "of a cell"))
    cell_clones.fetch(shallow, cell)
    assert git(shallow, "show", f"{EXPERIMENTS[1]}:file") == "of a cell"
    git(shallow, "fsck")
