import json
import re
import subprocess
import tomllib
from contextlib import chdir
from pathlib import Path

import pytest
from tiny import ROOT

from pipeline.core import provenance
from pipeline.experiments import cloning
from pipeline.running import cell_clones

LOCK = "schema: '2.0'\nstages: {}\n"


def git(*words):
    subprocess.run(("git", *words), capture_output=True, check=True)


@pytest.fixture
def project(clone):
    git("init", "--quiet")
    git("config", "user.email", "someone@example.org")
    git("config", "user.name", "Someone")
    Path("dvc.lock").write_text(LOCK, encoding="utf-8")
    git("add", ".")
    git("commit", "--quiet", "--message", "start")


@pytest.mark.parametrize("setting", ["diff.noprefix", "diff.mnemonicPrefix", "diff.relative"])
def test_a_users_settings_of_git_change_no_patch(project, tmp_path, setting):
    Path("params.yaml").write_text("recipe: ecsm\n", encoding="utf-8")
    Path("pipeline").mkdir()
    Path("pipeline/a.py").touch()
    git("add", "pipeline")
    before = provenance.changes()
    git("config", setting, "true")
    assert provenance.changes() == before
    assert provenance.changed_code(before) == ("pipeline/a.py",)
    Path(".dvc").mkdir(exist_ok=True)
    copy = cell_clones.ProjectSnapshot(Path.cwd(), cache=str(tmp_path)).copy("cell")
    assert (copy / "params.yaml").read_text(encoding="utf-8") == "recipe: ecsm\n"


def test_a_cell_of_a_worktree_of_a_bare_repository_has_a_worktree(project, tmp_path, monkeypatch):
    git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    git("-C", str(tmp_path / "bare.git"), "worktree", "add", "--quiet", str(tmp_path / "work"), "HEAD")
    monkeypatch.chdir(tmp_path / "work")
    Path(".dvc").mkdir(exist_ok=True)
    copy = cell_clones.ProjectSnapshot(Path.cwd(), cache=str(tmp_path)).copy("cell")
    monkeypatch.chdir(copy)
    git("status")


def test_a_cell_of_a_submodule_has_a_worktree(project, tmp_path, monkeypatch):
    git("init", "--quiet", str(tmp_path / "whole"))
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(Path.cwd()), "orb")
    git("-C", str(tmp_path / "whole"), *add)
    monkeypatch.chdir(tmp_path / "whole/orb")
    Path(".dvc").mkdir(exist_ok=True)
    copy = cell_clones.ProjectSnapshot(Path.cwd(), cache=str(tmp_path)).copy("cell")
    monkeypatch.chdir(copy)
    git("status")


def test_the_changes_of_a_project_below_the_top_are_made_in_a_clone(project):
    Path("sub").mkdir()
    git("mv", "params.yaml", "sub/params.yaml")
    git("commit", "--quiet", "--message", "below")
    with chdir("sub"):
        Path("params.yaml").write_text("recipe: ecsm\n", encoding="utf-8")
        with cloning.cloned(Path.cwd(), "HEAD", provenance.changes(), keep=False) as made:
            assert made.name == "sub"
            assert (made / "params.yaml").read_text(encoding="utf-8") == "recipe: ecsm\n"


def test_the_changes_are_what_git_apply_needs_and_leave_dvc_lock_out(project):
    Path("params.yaml").write_text("recipe: ecsm\n", encoding="utf-8")
    Path("dvc.lock").write_text("two\n", encoding="utf-8")
    changes = provenance.changes()
    git("checkout", "--quiet", ".")
    subprocess.run(("git", "apply"), input=changes, text=True, check=True)
    assert Path("params.yaml").read_text(encoding="utf-8") == "recipe: ecsm\n"
    assert Path("dvc.lock").read_text(encoding="utf-8") == LOCK


def test_a_clean_tree_has_no_changes_and_too_many_are_not_kept(project, monkeypatch):
    assert provenance.changes() == ""
    Path("params.yaml").write_text("recipe: ecsm\n", encoding="utf-8")
    monkeypatch.setattr(provenance, "LARGEST_CHANGES", 10)
    assert provenance.changes() is None
    Path("params.yaml").write_bytes(b"recipe: \xe9\n")
    monkeypatch.setattr(provenance, "LARGEST_CHANGES", 1000)
    assert provenance.changes() is None


def test_outside_git_there_are_none(clone):
    assert provenance.changes() == ""


def test_the_hash_of_the_code_is_over_names_and_contents_of_what_the_stages_depend_on(clone):
    Path("pipeline/room").mkdir(parents=True)
    files = {name: Path("pipeline", name) for name in ("one.py", "room/two.py", "other.py")}
    for file in files.values():
        file.write_text("1\n", encoding="utf-8")
    deps = {"train": ["data", "pipeline/one.py", "pipeline/room"], "report": ["pipeline/other.py"]}
    stages = {name: {"deps": named} for name, named in deps.items()}
    Path("dvc.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    found = [provenance.code_hash(("train",))]
    for name in files:
        files[name].write_text("2\n", encoding="utf-8")
        found.append(provenance.code_hash(("train",)))
    assert found[3] == found[2]
    assert len(set(found)) == 3
    assert provenance.code_hash(("train", "report")) not in found
    files["room/two.py"].rename("pipeline/room/three.py")
    assert provenance.code_hash(("train",)) not in found
    files["one.py"].write_text("1\n", encoding="utf-8")
    Path("pipeline/room/three.py").rename(files["room/two.py"])
    files["room/two.py"].write_text("1\n", encoding="utf-8")
    assert provenance.code_hash(("train",)) == found[0]


def test_the_hash_of_what_runs_in_copies_is_over_the_files_that_git_tracks(project):
    for file in (Path("pipeline/one.py"), Path("pipeline/room/é.py")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1\n", encoding="utf-8")
    Path("dvc.yaml").write_text(
        json.dumps({"stages": {"train": {"deps": ["pipeline/one.py", "pipeline/room"]}}}), encoding="utf-8"
    )
    git("add", ".")
    before = provenance.code_hash(("train",), tracked=True)
    assert before == provenance.code_hash(("train",))
    for name in (".one.py.swp", "é.py.orig", "#é.py#", ".DS_Store"):
        Path("pipeline/room", name).touch()
    assert provenance.code_hash(("train",), tracked=True) == before != provenance.code_hash(("train",))
    Path("pipeline/room/é.py").write_text("2\n", encoding="utf-8")
    edited = provenance.code_hash(("train",), tracked=True)
    Path("pipeline/room/new.py").touch()
    assert provenance.untracked(("train",)) == [Path("pipeline/room/new.py")]
    git("add", "pipeline/room/new.py")
    assert provenance.untracked(("train",)) == []
    assert len({before, edited, provenance.code_hash(("train",), tracked=True)}) == 3


def test_versions_are_of_every_package_that_computes_something_of_a_result():
    assert {"scipy", "opencv-python-headless", "imagehash"} <= provenance.versions().keys()


def test_every_package_of_which_the_version_is_recorded_is_a_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.match(r"[\w-]+", one)[0] for one in project["dependencies"]}
    assert {*provenance.COMPUTING, *provenance.KEEPING} <= names
