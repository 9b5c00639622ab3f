"""A study from its file to its page, interrupted once."""

import os
import re
import signal
import time
from typing import Any

import pytest

pytestmark = pytest.mark.slow
MINE = "title: Mine\nset: {repeats: [1]}\ncells:\n  head: {set: {freeze: 1}}\n  top: {set: {freeze: 3c}}\n"
PATIENCE = 1500


def test_a_study_that_ctrl_c_cut_goes_on_without_training_again_and_has_a_page(clone: Any) -> None:
    (clone.root / "mine.yaml").write_text(MINE, encoding="utf-8")
    before = (clone.root / "params.yaml").read_bytes()
    logs = clone.root / ".dvc/tmp/studies/mine"

    child = clone.start("orbweaver", "study", "run", "mine.yaml")
    deadline = time.monotonic() + PATIENCE
    while "'evaluate@1'" not in ((logs / "head.log").read_text(encoding="utf-8") if logs.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(child.pid, signal.SIGINT)
    told, _ = child.communicate(timeout=120)
    assert child.returncode == 130, told
    assert "interrupted; nothing is left running" in told
    assert not list((clone.root / ".dvc/tmp/exps/standalone").glob("tmp*"))

    told = clone.run("orbweaver", "study", "run", "mine.yaml")
    assert "0 cells were there, 2 ran, 0 failed" in told
    assert "Running stage 'train@1'" not in (logs / "head.log").read_text(encoding="utf-8")
    assert "2 cells were there, 0 ran" in clone.run("orbweaver", "study", "run", "mine.yaml")

    assert "2 of 2 cells are there." in clone.run("orbweaver", "study", "report", "mine.yaml")
    assert "Holm" in (clone.root / "metrics/studies/mine/index.html").read_text(encoding="utf-8")
    assert (clone.root / "params.yaml").read_bytes() == before
    assert clone.run("git", "status", "--short").split() == ["??", "mine.yaml"]
    assert re.search("up to date", clone.run("dvc", "repro"))
