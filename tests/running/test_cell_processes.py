"""Processes of cells that are ended, at the same time, and also where the command itself ignores Ctrl-C."""

import os
import signal
import subprocess
from pathlib import Path
from signal import SIGINT

import pytest

from pipeline.running.executors.processes import CellProcess, stop_all, wait

# One that ends well only when both have been asked, once each.
CELL = """\
trap 'echo SIGINT >> "$0.asked"; until [ -e one.asked ] && [ -e two.asked ]; do sleep 0.02; done; exit 130' INT
touch "$0.begun"
while :; do sleep 0.02; done
"""
# In place of DVC with a stage.
DVC = """\
import pathlib, subprocess
def main(words):
    with subprocess.Popen(("sleep", "60")):
        pathlib.Path("begun").touch()
"""


def test_all_cells_are_asked_to_stop_before_one_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, popen = list[CellProcess](), subprocess.Popen
    for name in ("one", "two"):
        (tmp_path / name).write_text(CELL, encoding="utf-8")
        # In place of DVC.
        monkeypatch.setattr(subprocess, "Popen", lambda _, name=name, **options: popen(["bash", name], **options))
        started.append(CellProcess(tmp_path, name, (), environment={"PATH": "/usr/bin:/bin"}))
    assert wait(lambda: len(list(tmp_path.glob("*.begun"))) == 2, 60)
    stop_all(started, 20, first=SIGINT)
    assert [one.status() for one in started] == [130, 130]
    assert [file.read_text(encoding="utf-8") for file in tmp_path.glob("*.asked")] == ["SIGINT\n", "SIGINT\n"]
    assert not any(one.is_left() for one in started)


def test_a_cell_of_a_command_in_the_background_of_a_script_stops_when_it_is_asked(tmp_path: Path) -> None:
    """There the shell has SIGINT ignored, which DVC and the stage inherited: both were ended half a minute later."""
    (tmp_path / "dvc").mkdir()
    (tmp_path / "dvc/__init__.py").touch()
    (tmp_path / "dvc/cli.py").write_text(DVC, encoding="utf-8")
    search = os.pathsep.join((str(tmp_path), str(Path(__file__).parents[2])))
    before = signal.signal(SIGINT, signal.SIG_IGN)
    try:
        cell = CellProcess(tmp_path, "one", (), environment=os.environ | {"PYTHONPATH": search})
    finally:
        signal.signal(SIGINT, before)
    try:
        assert wait((tmp_path / "begun").exists, 60)
        cell.send(SIGINT)
        assert wait(lambda: not cell.is_left(), 20)
    finally:
        cell.send(signal.SIGKILL)
