"""git ignores every output that DVC keeps, so that DVC adds no .gitignore of its own."""

import subprocess
from pathlib import Path

import pytest
import tiny
import yaml

ROOT: Path = tiny.ROOT
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
KEPT = sorted({out for stage in STAGES.values() for out in stage["outs"] if isinstance(out, str)})


@pytest.mark.parametrize("place", KEPT)
def test_git_ignores_what_dvc_keeps(place: str) -> None:
    words = ["git", "check-ignore", "--no-index", "--verbose", place]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith(".gitignore:"), (place, done.stdout, done.stderr)
