"""A study from its file to its page, interrupted once."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from clones import PATIENCE, Clone, stages

pytestmark = pytest.mark.slow
MINE = "title: Mine\nset: {repeats: [1]}\ncells:\n  head: {set: {freeze: 1}}\n"


def test_a_study_that_ctrl_c_cut_goes_on_without_training_again(clone: Clone) -> None:
    (clone.root / "mine.yaml").write_text(MINE, encoding="utf-8")
    before = (clone.root / "params.yaml").read_bytes()
    log = clone.root / ".dvc/tmp/studies/mine/head.log"
    (tested,) = stages("evaluate")

    child = clone.start("orbweaver", "study", "run", "mine.yaml")
    deadline = time.monotonic() + PATIENCE
    while f"'{tested}'" not in (log.read_text(encoding="utf-8") if log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(child.pid, signal.SIGINT)
    told, _ = child.communicate(timeout=120)
    assert child.returncode == 130, told
    assert "interrupted; nothing that it ran is left running" in told
    assert not list((clone.root / ".dvc/tmp/exps/standalone").glob("tmp*"))

    told = clone.typed("orbweaver study run mine.yaml")
    assert "0 cells were there, 1 ran, 0 failed" in told
    assert "Running stage 'train@1'" not in log.read_text(encoding="utf-8")
    assert f"Running stage '{tested}'" in log.read_text(encoding="utf-8")
    assert (clone.root / "params.yaml").read_bytes() == before
    assert clone.run("git", "status", "--short").split() == ["??", "mine.yaml"]
    assert re.search("up to date", clone.run("dvc", "repro"))


def test_a_papers_table_has_a_page_beside_what_was_printed_and_is_not_run_twice(stubbed: Clone, tmp_path: Path) -> None:
    stubbed.recipes("quick", "ecsm")
    stubbed.commit()
    before = (stubbed.root / "params.yaml").read_bytes()
    for answer in ("0 cells were there, 6 ran, 0 failed", "6 cells were there, 0 ran, 0 failed"):
        told = stubbed.typed(
            "orbweaver study run ecsm-table5 -S recipe=quick -S options.data.synthetic.images_per_class=8 -S budget=1",
            "-S 'repeats=[1]' -j 2",
        )
        assert answer in told
    assert (stubbed.root / "params.yaml").read_bytes() == before
    assert stubbed.run("git", "status", "--short") == ""
    report = re.findall(r"^its page: (.*)$", told, re.MULTILINE)[0]
    assert "6 of 6 cells are finished." in stubbed.run("bash", "-c", report)
    page = stubbed.root / "metrics/studies/ecsm-table5/index.html"
    assert "Holm" in page.read_text(encoding="utf-8")

    shutil.copytree(stubbed.root / "data/collected/images", tmp_path / "images")
    photographs = {"/data/spiders": str(tmp_path / "images")}
    told = stubbed.typed("orbweaver study report ecsm-table5 -S folder=/data/spiders", put=photographs)
    assert "0 of 6 cells are finished." in told
    assert "printed" in page.read_text(encoding="utf-8")


def test_a_cell_whose_result_dvc_had_is_told_apart_from_those_that_trained(stubbed: Clone) -> None:
    stubbed.run("dvc", "exp", "run", "-S", "freeze=1", "-S", "repeats=[1]")
    stubbed.run("git", "checkout", "--quiet", ".")
    (stubbed.root / "mine.yaml").write_text(f"{MINE}  top: {{set: {{freeze: 3c}}}}\n", encoding="utf-8")
    told = stubbed.run("orbweaver", "study", "run", "mine.yaml")
    assert "mine: 2 of 2 cells to run, 2 trainings; what they print is in .dvc/tmp/studies/mine\n" in told
    assert "[1/2] finished: head (its result was there)\n" in told
    assert "[2/2] finished: top\n" in told
    assert re.search(r"2 ran, 0 failed, in \d+ s; of those that ran, 1 had their result in DVC's cache", told)
    told = stubbed.run("orbweaver", "study", "report", "mine.yaml")
    assert "1 cell came from earlier runs, without training: head." in told
    assert (stubbed.root / "metrics/studies/mine/figures/synthetic-answer.svg").exists()
    stubbed.run("dvc", "gc", "--workspace", "--force")
    told = stubbed.run("orbweaver", "study", "report", "mine.yaml")
    assert re.search(r"finished cells? cannot be read, first \w+: .* not in DVC's cache .*`dvc exp remove ", told)


def test_a_clone_of_committed_results_without_their_outputs_runs_a_study_of_other_images(
    stubbed: Clone, tmp_path: Path
) -> None:
    """DVC would look for the outputs that a colleague's dvc.lock names, where it compares with the commit."""
    stubbed.commit()
    assert "dvc.lock" in stubbed.run("git", "ls-files")
    stubbed.run("git", "clone", "--quiet", str(stubbed.root), str(tmp_path / "other"))
    other = Clone(tmp_path / "other", tmp_path)
    (other.root / "mine.yaml").write_text(f"{MINE}  top: {{set: {{freeze: 3c}}}}\n", encoding="utf-8")
    told = other.run("orbweaver", "study", "run", "mine.yaml", "-S", "options.data.synthetic.images_per_class=9")
    assert "2 ran, 0 failed" in told
