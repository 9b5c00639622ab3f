"""Real photographs and real ImageNet weights: what a plain loop reaches, the pipeline reaches.

REAL_DATA names the folder that holds `clothing10` and `weights`; by default it is `../shared/real`.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import pipeline
from pipeline import params, paths
from pipeline.datasets.packed import Packed
from pipeline.stages import collect, evaluate, preprocess, source, split, train
from pipeline.training import checkpoints

ROOT = Path(pipeline.__file__).parents[1]
REAL = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared/real"))

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (REAL / "clothing10").is_dir(),
        reason=f"no photographs at {REAL}: accuracy and speed on real images are not checked; set REAL_DATA",
    ),
]


def write_params(*, freeze: str, lr: float, epochs: int, cache: int = 2048) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values |= {
        "paper": "ecsm",
        "data": "folder",
        "folder": str((REAL / "clothing10").resolve()),
        "backbone": "resnet18",
        "weights": "file",
        "weights_file": str((REAL / "weights/resnet18.safetensors").resolve()),
        "freeze": freeze,
        "attention": "none",
        "device": "cpu",
    }
    values["papers"]["ecsm"]["network"]["head"] = "linear"
    values["papers"]["ecsm"]["train"] |= {
        "lr": lr,
        "feature_cache_mb": cache,
        "budget": {"unit": "epochs", "amount": epochs},
    }
    paths.PARAMS.write_text(yaml.safe_dump(values), encoding="utf-8")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clothing")
    (root / "dvc.yaml").symlink_to(ROOT / "dvc.yaml")
    (root / "pipeline").symlink_to(ROOT / "pipeline")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_params(freeze="1", lr=1e-3, epochs=1)
        for stage in (collect.main, preprocess.main, source.main):
            stage()
        split.main(["1"])
    return root


@pytest.fixture
def project(prepared: Path, monkeypatch: pytest.MonkeyPatch, unfollowed: list[Any]) -> None:
    monkeypatch.chdir(prepared)
    assert unfollowed == []


def runtime() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(paths.runtime_file(1).read_text(encoding="utf-8"))
    return found


@pytest.mark.usefixtures("project")
def test_the_given_parts_are_kept() -> None:
    parts = train.read_parts(paths.split_file(1), Packed.open(paths.PACKED))
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 600, "val": 341, "test": 372}


@pytest.mark.parametrize(
    ("strategy", "lr", "epochs", "least"), [("1", 1e-3, 30, 0.77), ("3b", 2e-4, 8, 0.76)], ids=["1", "3b"]
)
@pytest.mark.usefixtures("project")
def test_a_strategy_reaches_what_a_plain_loop_does(strategy: str, lr: float, epochs: int, least: float) -> None:
    write_params(freeze=strategy, lr=lr, epochs=epochs)
    started = time.perf_counter()
    train.main(["1"])
    evaluate.main(["1"])
    found = json.loads((paths.evaluation(1) / "scores.json").read_text(encoding="utf-8"))
    print(f"strategy {strategy}: {found['accuracy']:.4f} in {time.perf_counter() - started:.1f} s, {runtime()}")
    assert found["test_images"] == 372
    assert found["accuracy"] >= least


@pytest.mark.usefixtures("project")
def test_frozen_features_make_an_epoch_as_much_faster_as_they_should() -> None:
    seconds = {}
    for strategy, epochs in {"1": 5, "3c": 3, "2": 1}.items():
        write_params(freeze=strategy, lr=2e-4, epochs=epochs)
        train.main(["1"])
        seconds[strategy] = min(runtime()["epoch_seconds"])
    print(f"seconds an epoch: {seconds}")
    assert seconds["2"] > 30 * seconds["1"]
    assert seconds["2"] > 3 * seconds["3c"]


@pytest.mark.parametrize("strategy", ["1", "3c"])
@pytest.mark.usefixtures("project")
def test_kept_and_recomputed_features_give_the_same_network(strategy: str) -> None:
    weights = []
    for cache in (2048, 0):
        write_params(freeze=strategy, lr=2e-4, epochs=1, cache=cache)
        train.main(["1"])
        assert (runtime()["cache_seconds"] > 0) == bool(cache)
        weights.append(checkpoints.read(paths.trained(1) / "weights.safetensors"))
    largest = max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0])
    print(f"strategy {strategy}: kept against recomputed differ by {largest:.2e} at most")
    # Adam moves a weight by up to its rate a step whatever the gradient's size, so last digits are magnified;
    # 19 steps at 2e-4 could move one by 3.8e-3.
    assert largest < 1e-3
    assert params.load(paths.PARAMS).experiment().settings.train.feature_cache_mb == 0
    assert torch.equal(weights[0]["conv1.weight"], weights[1]["conv1.weight"])


@pytest.mark.usefixtures("unfollowed")
def test_feature_extraction_then_fine_tuning_of_mobilenet_reaches_what_its_frozen_features_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").symlink_to(ROOT / "dvc.yaml")
    (tmp_path / "pipeline").symlink_to(ROOT / "pipeline")
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values |= {
        "paper": "animals",
        "data": "folder",
        "folder": str((REAL / "clothing10").resolve()),
        "weights": "file",
        "weights_file": str((REAL / "weights/mobilenet_v2.safetensors").resolve()),
        "device": "cpu",
    }
    recipe = values["papers"]["animals"]
    recipe["data"]["augmentation"] = "none"  # so that what is frozen runs once
    recipe["train"]["budget"]["amount"] = 16
    recipe["train"]["phases"][1]["amount"] = 6
    paths.PARAMS.write_text(yaml.safe_dump(values), encoding="utf-8")
    for stage in (collect.main, preprocess.main, source.main):
        stage()
    for stage in (split.main, train.main, evaluate.main):
        stage(["1"])
    found = json.loads((paths.evaluation(1) / "scores.json").read_text(encoding="utf-8"))
    print(f"MobileNetV2 in two phases: {found['accuracy']:.4f}, {runtime()}")
    assert found["accuracy"] >= 0.77
