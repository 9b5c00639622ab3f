"""Processes in the folder of a cell that a killed study left: the cell's own are ended, those of the user are not."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core import paths
from pipeline.running import cell_clones
from pipeline.running.executors.processes import wait

# A shell with a child, neither of which ends by itself.
WORK = "sleep 300; true"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cell, in a repository."""
    subprocess.run(("git", "init", "--quiet", str(tmp_path)), check=True)
    monkeypatch.setattr(cell_clones, "PATIENCE", 0.3)
    folder = tmp_path / cell_clones.PLACE / "cell"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def by_whom(folder: Path) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """Processes in it: one as a cell's are started, and one of the user's shell."""
    environment = {name: value for name, value in os.environ.items() if name != paths.ROOT_VARIABLE}
    of_the_cell = environment | {paths.ROOT_VARIABLE: str(folder.parents[3])}
    started = {
        name: subprocess.Popen(("sh", "-c", WORK), cwd=folder, env=variables, start_new_session=True)
        for name, variables in (("cell", of_the_cell), ("user", environment))
    }
    yield started
    for process in started.values():
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()


def test_those_of_the_user_are_named_and_left_alone(
    folder: Path, by_whom: dict[str, "subprocess.Popen[bytes]"]
) -> None:
    root, lines = folder.parents[3], list[str]()
    assert cell_clones.is_at_work(root, "cell")
    cell_clones.take_over(root, lines.append)
    assert by_whom["cell"].wait(10) < 0
    assert by_whom["user"].poll() is None
    waited = [line for line in lines if line.startswith("waiting for process ")]
    left = [line for line in lines if line.endswith(f"is in {folder}, which is removed; the process is left alone")]
    assert lines == [*waited, *left, "removed what a killed study left: 1 copy in .dvc/tmp/cells"]
    assert any(str(by_whom["cell"].pid) in line for line in waited)
    assert any(str(by_whom["user"].pid) in line for line in left)
    assert not any(str(by_whom["user"].pid) in line for line in waited)
    assert not folder.exists()


def test_a_cell_in_whose_folder_somebody_else_stands_does_not_run(
    folder: Path, by_whom: dict[str, "subprocess.Popen[bytes]"]
) -> None:
    os.killpg(by_whom["cell"].pid, 9)
    by_whom["cell"].wait()
    # Its child ends a moment later.
    assert wait(lambda: not cell_clones.is_at_work(folder.parents[3], "cell"), 10)
    assert cell_clones.at_work_in(folder)
