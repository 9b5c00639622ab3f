"""Experiments through remotes with DVC itself: what it has lost, and a project in a folder of its repository."""

from pathlib import Path

import pytest
from two_remotes import KEYS, REFERENCES, Machine

from pipeline.core.errors import InputError
from pipeline.experiments import cloning
from pipeline.running import cells, sharing
from pipeline.running.remotes import IncompleteError

pytestmark = pytest.mark.slow
STAGE = "stages:\n  one:\n    cmd: mkdir out && echo 1 > out/a && echo 2 > out/b\n    outs: [out]\n"


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A finished experiment in a folder of a repository, with DVC itself; its remote was added and committed later."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    made = Machine(tmp_path, "clone/deep/project")
    made.run("dvc", "init", "--quiet", "--subdir")
    (made.root / "dvc.yaml").write_text(STAGE, encoding="utf-8")
    made.run("dvc", "repro", "--quiet")
    made.finish(KEYS[0])
    made.run("dvc", "remote", "add", "--quiet", "storage", str(made.data))
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message", "a remote")
    made.run("git", "push", "--quiet", "origin", "main")
    monkeypatch.chdir(made.root)
    return made


def files(place: Path, content: str) -> list[Path]:
    return [file for file in place.rglob("*") if file.is_file() and file.read_text(encoding="utf-8") == content]


@pytest.mark.parametrize("content", ["2\n", None])
def test_dvc_finds_what_its_cache_has_lost_and_what_its_remote_has_lost(real: Machine, content: str | None) -> None:
    second = real.root.parents[2] / "second"
    real.run("git", "clone", "--quiet", str(real.bare), str(second))

    def lost(place: Path) -> None:
        (file,) = files(place, content) if content else place.rglob("*.dir")
        file.unlink()

    kept = (real.root / ".dvc/cache", real.root.parent / "kept")
    real.run("cp", "-r", *map(str, kept))
    lost(kept[0])
    with pytest.raises(IncompleteError, match="stays here: out is neither"):
        sharing.give(real.root, real.remotes, KEYS)
    assert real.shared() == []
    real.run("cp", "-r", f"{kept[1]}/.", str(kept[0]))
    sharing.check(real.root, real.remotes)
    assert sharing.give(real.root, real.remotes, KEYS) == 1
    lost(real.data)
    project = second / "deep/project"
    sharing.forget_lost(project, real.remotes)
    assert ("out" in (project / "dvc.lock").read_text(encoding="utf-8")) == bool(content)
    with pytest.raises(IncompleteError, match="and out is not in DVC's"):
        sharing.bring(project, real.remotes, KEYS)
    assert not cells.finished(project)


def test_a_project_in_a_folder_of_its_repository_comes_whole_and_with_all_changes(real: Machine) -> None:
    assert sharing.give(real.root, real.remotes, KEYS) == 1
    (real.top / "beside").write_text("new", encoding="utf-8")
    (real.root / "dvc.yaml").write_text(f"{STAGE}# edited\n", encoding="utf-8")
    real.run("git", "add", "--all", ":/")
    commit, changes = real.run("git", "rev-parse", "HEAD"), cloning.changes_of(real.root)
    reference = sharing.keep_commit(real.root, real.remotes, changes, "mine")
    place = {"reference": reference, "commit": commit, "changes": changes, "prefix": "deep/project/"}
    project = sharing.clone(real.remotes, real.root.parents[2] / "node", **place)
    assert real.run("git", "status", "--short", at=project).split() == ["A", "../../beside", "M", "dvc.yaml"]
    before = (project / "dvc.lock").read_bytes()
    sharing.forget_lost(project, real.remotes)
    assert (project / "dvc.lock").read_bytes() == before
    assert sharing.bring(project, real.remotes, KEYS) == 1
    real.run("dvc", "checkout", "--quiet", at=project)
    assert (project / "out/b").read_text(encoding="utf-8") == "2\n"
    sharing.drop_commit(real.root, real.remotes, changes, "mine")
    assert real.shared() == [REFERENCES[KEYS[0]]]


def test_a_remote_that_takes_nothing_is_named_before_anything_trains(real: Machine) -> None:
    real.refuse()
    (real.data).write_text("a file, and no folder", encoding="utf-8")
    with pytest.raises(InputError, match=f"^DVC's remote 'storage', {real.data}: "):
        sharing.check(real.root, real.remotes)
