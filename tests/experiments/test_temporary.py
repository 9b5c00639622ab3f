"""Temporary clones that killed commands left: which are theirs, and that what runs in one ends with its command."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.experiments import temporary
from pipeline.recovery import mending
from pipeline.running import cell_clones

# Above what any system gives.
DEAD = 2**22 + 1
HERE = os.uname().nodename
RUNS = "from pathlib import Path\nfrom pipeline.experiments import cloning\ncloning.run_dvc(Path.cwd(), 'repro')\n"
STAGE = "stages: {wait: {cmd: touch begun; exec sleep 60}}\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def made(place: Path, name: str, **note: Any) -> Path:
    folder = place / f"orbweaver-{name}"
    (folder / "clone").mkdir(parents=True)
    said = {"host": HERE, "pid": DEAD, "since": time.time()} | note
    (folder / "owner.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def test_a_folder_is_gone_in_the_end_and_known_as_left_when_its_process_is_gone(place: Path) -> None:
    with temporary.folder() as folder:
        assert folder.parent == place
        assert temporary.of_killed() == []
        note = json.loads((folder / "owner.json").read_text(encoding="utf-8"))
        (folder / "owner.json").write_text(json.dumps(note | {"pid": DEAD}), encoding="utf-8")
        assert temporary.of_killed() == [folder]
    assert not folder.exists()


def test_one_that_stays_is_never_taken_for_left(place: Path) -> None:
    with temporary.folder(keep=True) as folder:
        assert list(folder.iterdir()) == []
    assert folder.exists()
    assert temporary.of_killed() == []


def test_the_number_of_a_process_that_began_later_is_anothers(place: Path) -> None:
    began = psutil.Process().create_time()
    made(place, "lives", pid=os.getpid(), since=began)
    before = made(place, "before", pid=os.getpid(), since=began - 3600)
    assert temporary.of_killed() == [before]


def test_what_is_not_known_to_be_of_this_user_and_machine_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(place, "elsewhere", host="another")
    (made(place, "unread") / "owner.json").write_text("[]", encoding="utf-8")
    (made(place, "empty") / "owner.json").unlink()
    (place / "orbweaver-link").symlink_to(made(place / "other", "linked"))
    (place / "orbweaver-file").touch()
    assert temporary.of_killed() == []
    mine = made(place, "mine")
    assert temporary.of_killed() == [mine]
    monkeypatch.setattr(os, "getuid", lambda: mine.stat().st_uid + 1)
    assert temporary.of_killed() == []


def test_the_next_command_removes_it_once_nothing_is_at_work_in_it(place: Path) -> None:
    folder, root, lines = made(place, "mine"), place / "project", list[str]()
    (root / ".dvc").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    with subprocess.Popen(["sleep", "60"], cwd=folder / "clone") as ending:
        mending.prepare(root, lines.append)
        assert lines == []
        ending.kill()
    mending.prepare(root, lines.append)
    assert lines == [f"{folder}: temporary clone of a command that was killed: removed"]
    assert not folder.exists()


def test_dvc_in_a_temporary_clone_ends_when_its_command_is_killed(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    (tmp_path / "dvc.yaml").write_text(STAGE, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    with subprocess.Popen([sys.executable, "-c", RUNS], cwd=tmp_path, stderr=subprocess.DEVNULL) as command:
        _wait(lambda: (tmp_path / "begun").exists())
        command.kill()
    _wait(lambda: not cell_clones.at_work_in(tmp_path), seconds=20)


def _wait(until: Callable[[], bool], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.1)
