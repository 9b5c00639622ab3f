"""What other tests take for granted of the tiny project."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import torchvision
import yaml

from pipeline import params
from pipeline.networks.backbones.table import BACKBONES, backbone, make


@pytest.mark.parametrize("depth", [18, 50, 101])
def test_a_narrow_network_is_torchvisions_module_for_module_with_fewer_channels(depth: int) -> None:
    with torch.device("meta"):
        narrow, whole = tiny.resnet(depth), getattr(torchvision.models, f"resnet{depth}")()
    kinds = [{name: type(module) for name, module in model.named_modules() if name} for model in (narrow, whole)]
    assert list(kinds[0].items()) == list(kinds[1].items())
    assert list(narrow.state_dict()) == list(whole.state_dict())
    sizes = [sum(value.numel() for value in model.parameters()) for model in (narrow, whole)]
    assert sizes[0] < sizes[1] / 20


def test_narrow_networks_have_the_places_of_the_real_ones_and_go_with_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    real = {name: backbone(name) for name in BACKBONES}
    with monkeypatch.context() as patch:
        tiny.narrow(patch)
        for name in BACKBONES:
            row = backbone(name)
            assert (row.steps, row.hooked_layers, row.classifier) == (
                real[name].steps,
                real[name].hooked_layers,
                real[name].classifier,
            )
        assert make("resnet18", 64).layer4[1].conv2.out_channels == tiny.WIDTHS[-1]
    assert real == {name: backbone(name) for name in BACKBONES}


def test_every_recipe_and_the_tiny_one_are_valid() -> None:
    for paper in tiny.shipped()["papers"]:
        assert params.check(tiny.recipe(paper)).paper == paper
    chosen = tiny.params({"train.lr": 0.5}, freeze="3c").experiment().settings
    assert (chosen.train.lr, chosen.train.budget.amount, chosen.network.freeze) == (0.5, 1, "3c")


def test_changes_of_one_test_are_not_seen_by_the_next() -> None:
    tiny.values()["papers"]["quick"]["train"]["lr"] = "fast"
    tiny.shipped()["papers"]["quick"]["train"]["lr"] = "fast"
    tiny.recipe("quick")["papers"]["quick"]["data"]["split"]["test"] = 2
    assert tiny.shipped() == yaml.safe_load(tiny.FILE.read_text(encoding="utf-8"))


def test_a_name_that_is_not_in_the_file_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        tiny.values({"trian.lr": 1})


def test_stages_are_called_in_dvc_yamls_order_once_for_each_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, Any]] = []
    stages = yaml.safe_load((tiny.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

    class Stage:
        def __init__(self, name: str) -> None:
            self.main = lambda *arguments: called.append((name, *arguments))

    monkeypatch.setattr(tiny.importlib, "import_module", Stage)
    monkeypatch.chdir(tmp_path)
    tiny.write_params(repeats=[4, 7])
    tiny.chain()
    expected = [
        (stage["cmd"].split()[2], *([[str(repeat)]] if "matrix" in stage else []))
        for stage in stages.values()
        for repeat in ([4, 7] if "matrix" in stage else [4])
    ]
    assert called == expected
    called.clear()
    tiny.chain("preprocess", "source")
    assert called == [("pipeline.stages.preprocess",), ("pipeline.stages.source",)]
