"""git ignores every output that DVC keeps, so that DVC adds no .gitignore of its own."""

import shutil
import subprocess
from pathlib import Path

import tiny
import yaml

STAGES = yaml.safe_load((tiny.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
KEPT = sorted({out for stage in STAGES.values() for out in stage["outs"] if isinstance(out, str)})


def test_git_ignores_what_dvc_keeps(tmp_path: Path) -> None:
    shutil.copy2(tiny.ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    done = subprocess.run(["git", "check-ignore", *KEPT], cwd=tmp_path, capture_output=True, text=True)
    assert len(KEPT) > 8
    assert done.stdout.splitlines() == KEPT
