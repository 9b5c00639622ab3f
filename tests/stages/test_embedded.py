"""What the embedded data are for: pre-training has to pay on them, and nothing may be perfect."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipeline
from pipeline import paths
from pipeline.stages import collect, evaluate, preprocess, source, split, train

ROOT = Path(pipeline.__file__).parents[1]


@pytest.mark.slow
def test_pretrained_blocks_beat_scratch_by_ten_points_and_neither_is_perfect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unfollowed: list[Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", paths.PARAMS)
    (tmp_path / "dvc.yaml").symlink_to(ROOT / "dvc.yaml")
    (tmp_path / "pipeline").symlink_to(ROOT / "pipeline")
    for stage in (collect.main, preprocess.main, source.main):
        stage()
    split.main(["1"])
    accuracy = {}
    for strategy in ("3b", "scratch"):
        values = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
        paths.PARAMS.write_text(yaml.safe_dump(values | {"freeze": strategy}), encoding="utf-8")
        train.main(["1"])
        evaluate.main(["1"])
        accuracy[strategy] = json.loads((paths.evaluation(1) / "scores.json").read_text(encoding="utf-8"))["accuracy"]
    assert unfollowed
    assert accuracy["3b"] >= accuracy["scratch"] + 0.10
    assert max(accuracy.values()) < 0.99
    assert accuracy["scratch"] > 1.5 / 9
