"""What a study knows of the user's own files: contents and names, and nothing that a copy on another machine loses."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from dvc.repo import Repo

from pipeline.commands import worker
from pipeline.core.errors import InputError
from pipeline.running import cell_clones, own_files
from pipeline.running.executors import local
from pipeline.running.executors.contract import State, Task
from pipeline.running.executors.jobs import Job

HERE = Path(__file__).parents[2]
JOB = ("commit", "changes", "experiment", "scratch")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for number, name in enumerate(("a/1.png", "a/2.png", "b/3.png")):
        file = tmp_path / "photographs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([number]))
    return tmp_path / "photographs"


def test_a_copy_made_elsewhere_at_another_time_is_the_same(photographs: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(photographs, tmp_path / "copy")
    for file in copy.rglob("*.png"):
        os.utime(file, (1e9, 1e9))
    assert own_files.digest(HERE, copy) == own_files.digest(HERE, photographs)
    assert own_files.digest(HERE, copy / "a/1.png") == own_files.digest(HERE, photographs / "a/1.png")


def test_another_photograph_and_another_class_are_others(photographs: Path) -> None:
    seen = {own_files.digest(HERE, photographs)}
    # The last of one class becomes the first of the next: names, sizes and times stay, in the same order.
    (photographs / "a/2.png").rename(photographs / "b/2.png")
    seen.add(own_files.digest(HERE, photographs))
    (photographs / "b/2.png").write_bytes(b"4")
    seen.add(own_files.digest(HERE, photographs))
    (photographs / "b/2.png").rename(photographs / "b/4.png")
    seen.add(own_files.digest(HERE, photographs))
    (photographs / "b/4.png").unlink()
    assert len(seen | {own_files.digest(HERE, photographs)}) == 5


def test_what_a_file_manager_leaves_there_is_no_other_experiment(photographs: Path) -> None:
    before = own_files.digest(HERE, photographs)
    for name in (".DS_Store", "a/._1.png", "b/Thumbs.db", "b/desktop.ini", ".thumbnails/1.png"):
        (photographs / name).parent.mkdir(exist_ok=True)
        (photographs / name).write_bytes(b"left behind")
    assert own_files.digest(HERE, photographs) == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_experiment_is_brought_back_whatever_a_file_manager_has_left(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    stage = {"cmd": "true", "deps": [str(photographs)]}
    Path("dvc.yaml").write_text(json.dumps({"stages": {"collect": stage}}), encoding="utf-8")
    with Repo.init(str(project), no_scm=True) as repo:
        own = [(str(photographs), own_files.digest(project, photographs))]
        (photographs / ".DS_Store").touch()
        repo.reproduce()
    assert not own_files.changed_since(project, own)
    (photographs / "a/1.png").write_bytes(b"another")
    assert "was changed after the study had begun" in own_files.changed_since(project, own)


def test_what_is_not_there_is_nothing_and_what_cannot_be_read_is_a_line(photographs: Path, tmp_path: Path) -> None:
    assert own_files.digest(HERE, photographs / "c") == ""
    (photographs / "a/4.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match=r"a/4\.png: is a link to nothing"):
        own_files.digest(HERE, photographs)
    (photographs / "a/4.png").unlink()
    (photographs / "a/.dvcignore").touch()
    with pytest.raises(InputError, match=r"\.dvcignore file should not be in collected dir path.*; remove that file$"):
        own_files.digest(HERE, photographs)
    with pytest.raises(InputError, match=r"not inside of a DVC repository.*; `git restore \.dvc` restores"):
        own_files.digest(tmp_path, photographs / "a")


def test_what_dvc_does_not_see_behind_a_link_is_refused(photographs: Path, tmp_path: Path) -> None:
    (photographs / "b").rename(tmp_path / "elsewhere")
    (photographs / "b").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="/b: is a symbolic link to a folder, whose changes DVC does not see; put"):
        own_files.digest(HERE, photographs)
    (photographs / "b").unlink()
    (photographs / "a/link.png").symlink_to(tmp_path / "elsewhere/3.png")
    before = own_files.digest(HERE, photographs)
    (tmp_path / "elsewhere/3.png").write_bytes(b"another")
    assert own_files.digest(HERE, photographs) != before


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_experiment_on_photographs_that_were_changed_since_is_not_brought_back(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the user's clone, though not in a cell's, DVC ignores some of the files.
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n", encoding="utf-8")
    (tmp_path / ".dvcignore").write_text(".gitignore\n", encoding="utf-8")
    (photographs / "a/.gitignore").touch()
    own = [(str(photographs), own_files.digest(tmp_path, photographs))]
    for number in (0, 1):
        project = tmp_path / f"clone{number}"
        project.mkdir()
        monkeypatch.chdir(project)
        stage = {"cmd": "true", "deps": [str(photographs)]}
        Path("dvc.yaml").write_text(json.dumps({"stages": {"collect": stage}}), encoding="utf-8")
        with Repo.init(str(project), no_scm=True) as repo:
            repo.reproduce()
        if number == 0:
            assert not own_files.changed_since(project, own)
            (photographs / "a/1.png").write_bytes(b"another")
    said = f"{photographs}: was changed after the study had begun; the same command runs it as it is now"
    assert own_files.changed_since(project, own) == said

    origin = SimpleNamespace(root=tmp_path, copy=lambda _: project)
    monkeypatch.setattr(local, "CellProcess", lambda *_, **__: SimpleNamespace(status=lambda: 0))
    monkeypatch.setattr(cell_clones, "bring_back", Mock())
    task = Task("c0", "mine-c0", (), 1, own=tuple(own))
    running = local.Running(task, origin, tmp_path / "c0.log")  # type: ignore[arg-type]
    (tmp_path / cell_clones.PLACE / "mine-c0").mkdir(parents=True)
    assert running.ended() == State("failed", said)
    assert not (tmp_path / cell_clones.PLACE / "mine-c0").exists()
    cell_clones.bring_back.assert_not_called()  # type: ignore[attr-defined]

    job = Job(**dict.fromkeys(("root", "cache"), tmp_path), **dict.fromkeys(JOB, "a"), overrides=(), own=tuple(own))
    with pytest.raises(InputError, match="was changed after the study had begun"):
        worker.bring_back(job, project)


@pytest.mark.parametrize("below", ["", "project"])
def test_what_a_killed_study_left_is_taken_over_but_for_experiments_on_other_photographs(
    tmp_path: Path, below: str
) -> None:
    def git(*words: str, cwd: Path = tmp_path) -> str:
        return subprocess.run(("git", *words), cwd=cwd, check=True, capture_output=True, text=True).stdout

    root = tmp_path / below
    root.mkdir(exist_ok=True)
    (root / "file").touch()
    git("init", "--quiet")
    git("add", ".")
    git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "--message", "one")
    lock = "schema: '2.0'\nstages:\n  collect:\n    cmd: c\n    deps:\n    - path: /photographs\n      md5: {}\n"
    for name, read in (("same", "a.dir"), ("changed", "b.dir"), ("unknown", "a.dir")):
        clone = root / cell_clones.PLACE / name
        git("clone", "--quiet", str(tmp_path), str(clone))
        git("update-ref", f"refs/exps/aa/{'b' * 38}/{name}", "HEAD", cwd=clone)
        (clone / below / "dvc.lock").write_text(lock.format(read), encoding="utf-8")
        if name != "unknown":
            own_files.note(clone / below, [("/photographs", "a.dir")])
    lines: list[str] = []
    cell_clones.take_over(root, lines.append)
    assert git("for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps").split() == ["same"]
    assert lines == [
        "changed: /photographs: was changed after the study had begun; the same command runs it as it is now",
        "removed what a killed study left: 3 copies in .dvc/tmp/cells",
    ]
    assert not list((root / cell_clones.PLACE).iterdir())
