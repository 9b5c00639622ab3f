"""The quick recipe as it is: a newcomer's first result."""

from pathlib import Path
from typing import Any

import pytest
import tiny

from pipeline.core import paths
from pipeline.core.records import Record, Scores


@pytest.mark.slow
def test_the_quick_recipe_learns_the_drawn_spiders_from_the_bundled_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unfollowed: list[Any]
) -> None:
    tiny.enter(tmp_path, monkeypatch)
    tiny.write(tiny.recipe("quick", repeats=[1], device="cpu"))
    tiny.chain(end="evaluate")
    file = paths.evaluation(1) / "scores.json"
    # Five repeats had 91.0 to 93.1 %; a linear model on the frozen features has about 73 %.
    assert 0.85 < Scores.parse(file.read_bytes(), file).accuracy < 0.99
    file = paths.training_metrics(1) / "record.json"
    assert Record.parse(file.read_bytes(), file).weights.license == "Apache-2.0"
