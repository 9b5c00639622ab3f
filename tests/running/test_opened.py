"""Which experiments count as other recommendations that were tested on the same test part."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import written_results

from pipeline.core import digests
from pipeline.evaluation.compare import repeats
from pipeline.evaluation.compare.repeats import Folder
from pipeline.running import opened


def write(root: Path, *, freeze: str = "3b", folder: str = "spiders", tested: str = "a", inner: bool = False) -> None:
    """Write the files of an experiment of one repeat."""
    record = written_results.record_of(1, written_results.settings_of("quick", freeze=freeze))
    history = [{"epoch": 1, "train_loss": 0.5}]
    # That of packed images, which are of another size in each.
    runtime = written_results.runtime_of(data_sha256=root.name, naming={"data": folder})
    written_results.write_trained(record, history, runtime, root=root)
    evaluation = root / "metrics/evaluate/1"
    evaluation.mkdir(parents=True)
    written_results.scores_of().write(evaluation / "scores.json")
    written_results.write_csv(evaluation / "predictions.csv", ["path", "correct"], [(f"{tested}/0.png", 1)])
    digests.seal(evaluation)
    (root / "data").mkdir()
    (root / "data/recipe.yaml").write_text(
        f"data:\n  split:\n    inner: {str(inner).lower()}\nrepeats:\n- 1\n", encoding="utf-8"
    )


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What is found beside an advice's own test, of one experiment of this name and these files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opened, "Revision", lambda _, revision: Folder(Path(revision)))

    def ask(name: str = "advice-1-0123456789ab", **values: Any) -> list[str]:
        write(tmp_path / "own")
        write(tmp_path / "other", **values)
        both = [("advice-3b-ba9876543210", str(tmp_path / "own")), (name, str(tmp_path / "other"))]
        monkeypatch.setattr(opened.revisions, "experiments", lambda _: both)
        return opened.others(tmp_path, repeats.read(Folder(tmp_path / "own"), 1))

    return ask


def test_another_recommendation_on_the_same_test_images_is_named(others: Callable[..., list[str]]) -> None:
    assert others(freeze="1") == ["advice-1-0123456789ab"]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"freeze": "1", "inner": True},
        {"freeze": "1", "tested": "b"},
        {"freeze": "1", "folder": "beetles"},
        {"freeze": "1", "name": "ecsm-table5-1-0123456789ab"},
    ],
    ids=["the same one", "a trial", "other test images", "other photographs", "no advice"],
)
def test_what_nobody_chooses_by_this_test_part_is_not(values: dict[str, Any], others: Callable[..., list[str]]) -> None:
    assert others(**values) == []


def test_one_whose_files_are_lost_stops_no_advice(others: Callable[..., list[str]], tmp_path: Path) -> None:
    assert others(freeze="1")
    (tmp_path / "other/metrics/evaluate/1/predictions.csv").unlink()
    assert opened.others(tmp_path, repeats.read(Folder(tmp_path / "own"), 1)) == []
