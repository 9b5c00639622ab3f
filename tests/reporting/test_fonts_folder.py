"""Matplotlib's list of fonts where the user's home cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline

PROGRAM = "from pipeline.reporting import figures\nimport matplotlib\nprint(matplotlib.get_cachedir())"
OURS = ("DVC_", "ORBWEAVER_", "MPLCONFIGDIR", "XDG_")


def cache_folder(project: Path, **variables: str) -> str:
    """Return where matplotlib keeps its list, and check that nothing was said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | variables
    environment |= {"PYTHONPATH": str(Path(pipeline.__file__).parents[1])}
    words = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A file, in which nobody can make a folder."""
    (tmp_path / "home").touch()
    return tmp_path / "home"


def test_where_the_home_cannot_be_written_the_list_is_in_the_clone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "clone/.dvc").mkdir(parents=True)
    assert cache_folder(tmp_path / "clone", HOME=str(home)) == str(tmp_path / "clone/.dvc/tmp/matplotlib")
    named = str(tmp_path / "named")
    assert cache_folder(tmp_path / "clone", HOME=str(home), MPLCONFIGDIR=named) == named


def test_elsewhere_it_is_where_matplotlib_has_it(tmp_path: Path) -> None:
    (tmp_path / "clone/.dvc").mkdir(parents=True)
    assert Path(cache_folder(tmp_path / "clone", HOME=str(tmp_path / "home"))).is_relative_to(tmp_path / "home")
    assert list((tmp_path / "clone/.dvc").iterdir()) == []
