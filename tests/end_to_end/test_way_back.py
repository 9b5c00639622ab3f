"""The files that the pipeline writes and git keeps: the way back from `-S`, a merge, a clone without DVC's cache."""

from pathlib import Path

import pytest
from clones import Clone, ran

pytestmark = pytest.mark.slow


def changed(clone: Clone) -> str:
    return clone.run("git", "status", "--porcelain")


def test_the_way_back_leaves_what_git_has_and_trains_nothing(stubbed: Clone) -> None:
    before = stubbed.outputs()
    stubbed.typed("dvc exp run -S freeze=3c")
    assert "data/recipe.yaml" in changed(stubbed)
    stubbed.typed("git restore params.yaml data/recipe.yaml dvc.lock metrics")
    assert changed(stubbed) == ""
    assert not {name for name in ran(stubbed.typed("dvc repro")) if name.startswith("train")}
    assert stubbed.outputs() == before


def test_after_a_merge_either_side_of_the_generated_files_will_do(stubbed: Clone) -> None:
    stubbed.run("git", "checkout", "--quiet", "-b", "other")
    for branch, freeze in (("other", "3c"), ("main", "1")):
        stubbed.run("git", "checkout", "--quiet", branch)
        stubbed.run("dvc", "exp", "run", "-S", f"freeze={freeze}")
        stubbed.commit()
    conflicts = stubbed.run("git", "merge", "other", code=1)
    assert "data/recipe.yaml" in conflicts
    stubbed.run("git", "checkout", "--ours", "params.yaml")
    stubbed.params(freeze="3c")
    stubbed.typed("git checkout --ours data/recipe.yaml dvc.lock metrics/summary.json metrics/curves.csv")
    assert not {name for name in ran(stubbed.typed("dvc repro")) if name.startswith("train")}
    stubbed.commit()
    assert stubbed.run("git", "diff", "other", "--", "data/recipe.yaml", "metrics/curves.csv") == ""
    assert "Data and pipelines are up to date" in stubbed.run("dvc", "repro")


def test_scores_of_two_commits_are_compared_in_a_clone_without_dvcs_cache(stubbed: Clone, tmp_path: Path) -> None:
    stubbed.typed("dvc exp run -S freeze=3c")
    stubbed.commit()
    stubbed.run("git", "clone", "--quiet", str(stubbed.root), str(tmp_path / "other"))
    other = Clone(tmp_path / "other", tmp_path)
    assert not (other.root / ".dvc/cache").exists()
    told = other.typed("dvc metrics diff HEAD~1")
    assert "accuracy.mean" in told
