"""What the embedded data are for: pre-training has to pay on them, and nothing may be perfect."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny

from pipeline.core import paths


@pytest.mark.slow
def test_pretrained_blocks_beat_scratch_by_ten_points_and_neither_is_perfect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unfollowed: list[Any]
) -> None:
    tiny.enter(tmp_path, monkeypatch)
    tiny.write(tiny.recipe("quick", repeats=[1]))
    tiny.chain(end="source")
    accuracy = {}
    for strategy in ("3b", "scratch"):
        tiny.write(tiny.recipe("quick", repeats=[1], freeze=strategy))
        tiny.chain("train", "evaluate")
        accuracy[strategy] = json.loads((paths.evaluation(1) / "scores.json").read_text(encoding="utf-8"))["accuracy"]
    assert unfollowed
    assert accuracy["3b"] >= accuracy["scratch"] + 0.10
    assert max(accuracy.values()) < 0.99
    assert accuracy["scratch"] > 1.5 / 9
