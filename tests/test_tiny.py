"""What other tests take for granted of the tiny project."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import torchvision
import yaml

from pipeline import config
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.networks.backbones.table import BACKBONES, backbone, make
from pipeline.stages import validate


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
    for name in tiny.shipped()["recipes"]:
        assert config.resolve(config.check(tiny.recipe(name))).recipe.recipe == name
        assert config.resolve(config.check(tiny.every_recipe(recipe=name))).recipe.recipe == name
    changed = tiny.experiment({"train.lr": 0.5}, freeze="3c")
    assert (changed.train.lr, changed.train.budget.amount, changed.network.freeze) == (0.5, 1, "3c")


def test_what_is_written_is_params_yaml_and_what_it_resolves_to_as_the_stage_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.enter(tmp_path, monkeypatch)
    tiny.write_params(freeze="3c")
    assert config.load().values == tiny.narrow_values(freeze="3c")
    written = Recipe.read()
    assert written == tiny.experiment(freeze="3c")
    validate.main()
    # But for the names, which the stage asks git for.
    assert Recipe.read().model_copy(update={"naming": written.naming}) == written
    # What is refused is in params.yaml alone, as after a stage that refuses it.
    tiny.write_params(freeze="frozen")
    assert yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))["freeze"] == "frozen"
    assert Recipe.read().model_copy(update={"naming": written.naming}) == written


def test_changes_of_one_test_are_not_seen_by_the_next() -> None:
    tiny.values()["recipes"]["quick"]["train"]["lr"] = "fast"
    tiny.shipped()["recipes"]["quick"]["train"]["lr"] = "fast"
    tiny.recipe("quick")["recipes"]["quick"]["train"]["budget"]["amount"] = "long"
    tiny.small()["options"]["data"]["synthetic"]["size"] = "large"
    assert tiny.shipped() == yaml.safe_load(tiny.FILE.read_text(encoding="utf-8"))


def test_a_name_that_is_not_in_the_file_is_our_mistake() -> None:
    with pytest.raises(InputError, match=r"unknown key 'recipes.quick.trian'; did you mean 'train'\?$"):
        tiny.experiment({"trian.lr": 1})
    with pytest.raises(InputError, match=r"unknown key 'freze'; did you mean 'freeze'\?$"):
        tiny.experiment(freze="3c")


def test_stages_are_called_in_dvc_yamls_order_once_for_each_repeat_with_the_words_of_their_commands(
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
    expected: list[tuple[str, Any]] = []
    for name, stage in stages.items():
        for repeat in [4, 7] if "matrix" in stage else [4]:
            arguments = ["--repeat", str(repeat)] if "matrix" in stage else None
            expected.append((f"pipeline.stages.{name}", *([arguments] if arguments else [])))
    assert called == expected
    called.clear()
    tiny.chain("preprocess", "source")
    assert called == [("pipeline.stages.preprocess",), ("pipeline.stages.source",)]
