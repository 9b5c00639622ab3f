"""What an advice tries, by the backbone."""

import re

import pytest
import tiny

from pipeline.advice.candidates import STRATEGIES, candidates, modern
from pipeline.core.overrides import override
from pipeline.preview.overriding import read

MODERN = {
    "network": {"freeze": "lp_ft"},
    "data": {"augmentation": "trivial_augment"},
    "train": {
        "lr": 5e-4,
        "budget": {"unit": "epochs", "amount": 30},
        "early_stop": 10,
        "mixup": 0.2,
        "optimizer": "adamw",
    },
}
OF_TRANSFORMERS = {"lora", "bitfit"}


def tried(backbone: str) -> set[str]:
    return {one.name.removeprefix(f"{backbone}-") for one in candidates([backbone], ["none"], own="")}


def test_what_is_for_transformers_is_tried_with_them_alone() -> None:
    assert tried("vit_b_16") == set(STRATEGIES)
    assert tried("resnet18") == tried("efficientnet_lite0") == set(STRATEGIES) - OF_TRANSFORMERS
    assert {one.name for one in candidates(own="vit_b_16")} > OF_TRANSFORMERS
    assert not OF_TRANSFORMERS & {one.name for one in candidates(own="resnet18")}


def test_a_backbones_weights_are_settings_of_its_own_candidates_and_no_part_of_a_name() -> None:
    listed = candidates(["resnet18", "vgg16"], ["none"], own="vgg16", weights={"resnet18": {"weights": "imagenet"}})
    assert {one.settings.get("weights") for one in listed if one.name.startswith("resnet18-")} == {"imagenet"}
    assert {one.settings.get("weights") for one in listed if one.name.startswith("vgg16-")} == {None}
    assert len({one.name for one in listed}) == len(listed)


@pytest.mark.slow
def test_a_model_of_timms_has_a_name_that_a_cell_may_have() -> None:
    listed = candidates(["timm/test_vit.r160_in1k"], ["none"], own="")
    assert {one.name for one in listed} == {f"timm-test_vit-r160_in1k-{name}" for name in STRATEGIES}
    assert all(re.fullmatch(r"[\w-]+", one.name) for one in listed)
    assert {one.settings["backbone"] for one in listed} == {"timm/test_vit.r160_in1k"}


@pytest.mark.parametrize(("unit", "budget"), [("epochs", {"budget": 30}), ("iterations", {})])
def test_the_ingredients_of_modern_go_where_the_other_recipe_has_them(unit: str, budget: dict[str, int]) -> None:
    places = {"train.mixup": "defaults.train.mixup", "train.optimizer": "recipes.mine.train.optimizer"}
    settings = modern(MODERN, places.__getitem__, unit=unit, given=["lr", "folder"])
    assert settings == {
        "freeze": "lp_ft",
        "augmentation": "trivial_augment",
        "defaults.train.mixup": 0.2,
        "recipes.mine.train.optimizer": "adamw",
        **budget,
    }


def test_the_regularizer_of_the_recipe_stays_in_no_candidate_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.ROOT)
    for one in candidates(own="resnet18"):
        words = [override(key, value) for key, value in one.settings.items()]
        strategy = one.name.partition("-")[0]
        method = read(["recipe=spa_gca", *words]).recipe.regularizer.method
        assert method == STRATEGIES[strategy].get("regularizer", "none"), one.name


def test_an_augmentation_of_its_own_and_a_solved_head_are_tried_once() -> None:
    listed = candidates(own="resnet18", more={"modern": {"freeze": "lp_ft", "augmentation": "trivial_augment"}})
    names = [one.name for one in listed]
    assert "3b-flip" in names
    assert not {"modern-flip", "probe-flip"} & set(names)
    assert next(one for one in listed if one.name == "modern").settings["augmentation"] == "trivial_augment"
