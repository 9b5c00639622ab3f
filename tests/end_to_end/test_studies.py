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

    told = clone.typed("orbweaver study run mine.yaml")
    assert "0 cells were there, 2 ran, 0 failed" in told
    assert "Running stage 'train@1'" not in (logs / "head.log").read_text(encoding="utf-8")
    assert "2 cells were there, 0 ran" in clone.run("orbweaver", "study", "run", "mine.yaml")

    assert "2 of 2 cells are there." in clone.run("orbweaver", "study", "report", "mine.yaml")
    assert "Holm" in (clone.root / "metrics/studies/mine/index.html").read_text(encoding="utf-8")
    assert (clone.root / "params.yaml").read_bytes() == before
    assert clone.run("git", "status", "--short").split() == ["??", "mine.yaml"]
    assert re.search("up to date", clone.run("dvc", "repro"))


def test_a_papers_table_on_drawn_spiders_has_a_page_beside_what_was_printed(clone: Any) -> None:
    told = clone.typed(
        "orbweaver study run ecsm-table5 -S paper=quick -S synthetic.images_per_class=8 "
        "-S synthetic_source.images=500 -S papers.quick.train.budget.amount=1",
        "-S 'repeats=[1]' -j 2",
    )
    assert "0 cells were there, 6 ran, 0 failed" in told
    report = re.findall(r"^its page: (.*)$", told, re.MULTILINE)[0]
    assert "6 of 6 cells are there." in clone.run("bash", "-c", report)
    photographs = {"/data/spiders": str(clone.root / "data/collected/images")}
    told = clone.typed("orbweaver study report ecsm-table5 -S folder=/data/spiders", put=photographs)
    assert "0 of 6 cells are there." in told
    assert "as printed" in (clone.root / "metrics/studies/ecsm-table5/index.html").read_text(encoding="utf-8")
