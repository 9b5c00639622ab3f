"""Processes of cells that are ended at the same time."""

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
