"""The ingredients of a training that every recipe may have, and what they exclude."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import tiny

from pipeline import config
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe


def experiment(name: str = "quick", changes: Mapping[str, Any] | None = None, **axes: object) -> Recipe:
    return config.resolve(config.check(tiny.recipe(name, changes, **axes))).recipe


def refusal(name: str = "quick", changes: Mapping[str, Any] | None = None, **axes: object) -> str:
    with pytest.raises(InputError) as caught:
        experiment(name, changes, **axes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("method", ["none", "spa_gca"])
def test_the_head_is_solved_before_everything_trains(method: str) -> None:
    recipe = experiment(freeze="lp_ft", regularizer=method)
    heads = ["solved", "kept"] if method == "spa_gca" else ["solved"]
    assert [(phase.freeze, phase.head) for phase in recipe.train.phases] == [("2", head) for head in heads]
    assert {phase.head for phase in experiment(freeze="2", regularizer=method).train.phases} == {"kept"}


def test_a_probe_is_a_solved_head_and_one_epoch_that_changes_nothing() -> None:
    recipe = experiment(freeze="probe", lr=0.5, budget=40)
    [phase] = recipe.train.phases
    assert (phase.freeze, phase.head, phase.lr, phase.amount) == ("1", "solved", 0.0, 1)
    assert recipe.train.budget.amount == 1
    # The rates of a phase that the user writes train something.
    wrong = {"train.phases": [{"freeze": 1, "amount": 5, "lr": 0.0}]}
    assert "lr" in refusal(changes=wrong, freeze="phases")


def test_what_a_probe_does_not_read_is_remarked_on() -> None:
    asked = {"freeze": "probe", "lr": 0.5, "budget": 40, "attention": "se", "weights": "none"}
    remarks = config.remarks(config.resolve(config.check(tiny.recipe("quick", **asked))))
    for start in (
        "lr is not read: freeze is 'probe'",
        "budget is not read: freeze is 'probe'",
        "attention is 'se' with freeze 'probe': it stays as it begins",
        "freeze is 'probe' with weights 'none': the head is solved on features of random values",
    ):
        assert any(remark.startswith(start) for remark in remarks), start


@pytest.mark.parametrize("method", ["l2_sp", "spa_gca", "l2_fe"])
def test_a_probe_has_nothing_that_a_regularizer_could_hold(method: str) -> None:
    assert refusal(freeze="probe", regularizer=method).startswith("params.yaml: freeze: 'probe' ")


def test_any_phase_may_begin_with_a_solved_head() -> None:
    phases = [{"freeze": 1, "amount": 1, "lr": 1e-3}, {"freeze": "3b", "amount": 4, "lr": 1e-4, "head": "solved"}]
    changes = {"train.phases": phases, "train.lr": 1e-3}
    recipe = experiment(changes=changes, freeze="phases")
    assert [phase.head for phase in recipe.train.phases] == ["kept", "solved"]
    message = refusal(changes=changes, freeze="phases", head="mlp1024")
    assert re.fullmatch(r"params.yaml: recipes.quick.train.phases: head: solved solves one linear layer, .*", message)


def test_a_head_with_a_hidden_layer_of_its_own_is_not_solved() -> None:
    assert refusal(freeze="lp_ft", head="mlp1024") == (
        "params.yaml: freeze: 'lp_ft' solves one linear layer, and head 'mlp1024' has 2 new ones; add -S head=linear, "
        "or choose another strategy"
    )


@pytest.mark.parametrize("freeze", ["lora", "bitfit"])
def test_a_part_of_each_layer_is_trained_in_transformers_alone(freeze: str) -> None:
    line = (
        "is for transformers, and resnet18 has no attention layers in its blocks; add -S freeze=3b (or another "
        "strategy), or choose a backbone such as timm/vit_tiny_patch16_224"
    )
    assert refusal(freeze=freeze, backbone="resnet18") == f"params.yaml: freeze: {freeze!r} {line}"
    phases = [{"freeze": 1, "amount": 1, "lr": 1e-3}, {"freeze": freeze, "amount": 4, "lr": 1e-4}]
    changes = {"train.phases": phases, "train.lr": 1e-3}
    key = "recipes.quick.train.phases"
    assert refusal(changes=changes, freeze="phases", backbone="resnet18") == f"params.yaml: {key}: {freeze!r} {line}"
    vit = {"backbone": "vit_b_16", "weights": "none", "image_size": 32}
    assert experiment(freeze=freeze, **vit).train.phases[0].freeze == freeze
    recipe = experiment(changes=changes, freeze="phases", **vit)
    assert recipe.train.phases[1].freeze == freeze
    # Options are those of LoRA, in any phase, and without it there are none of any strategy.
    assert recipe.options.get("freeze") == ({"lora": {"rank": 8, "alpha": 8.0}} if freeze == "lora" else None)
    assert recipe.settings().options.get("freeze") == recipe.options.get("freeze")


@pytest.mark.parametrize(("freeze", "covers"), [("lora", "kernels"), ("lora", "all"), ("bitfit", "kernels")])
def test_a_regularizer_of_weights_that_do_not_train_is_refused(freeze: str, covers: str) -> None:
    axes = {"freeze": freeze, "backbone": "vit_b_16", "weights": "imagenet", "regularizer": "l2_sp", "image_size": 32}
    changes = {"options": {"regularizer": {"l2_sp": {"covers": covers}}}}
    assert re.fullmatch(
        f"params.yaml: freeze: '{freeze}' leaves the pre-trained weights as they are that regularizer 'l2_sp' holds; "
        ".*add -S regularizer=none, or choose another strategy",
        refusal(changes=changes, **axes),
    )


def test_biases_may_be_held_near_their_pre_trained_values() -> None:
    changes = {"options": {"regularizer": {"l2_sp": {"covers": "all"}}}}
    axes = {"freeze": "bitfit", "backbone": "vit_b_16", "weights": "imagenet", "regularizer": "l2_sp"}
    assert experiment(changes=changes, image_size=32, **axes).regularizer.method == "l2_sp"


def test_a_solved_head_of_random_features_is_remarked_on() -> None:
    resolved = config.resolve(config.check(tiny.recipe("quick", freeze="lp_ft", weights="none")))
    assert "freeze is 'lp_ft' with weights 'none': the head is solved on features of random values" in (
        config.remarks(resolved)
    )


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("layer_decay", 0.0, "should be greater than 0"),
        ("layer_decay", 1.1, "should be less than or equal to 1"),
        ("label_smoothing", 1.0, "should be less than 1"),
        ("label_smoothing", -0.1, "should be greater than or equal to 0"),
        ("mixup", 1000.0, "should be less than or equal to 100"),
        ("cutmix", -1.0, "should be greater than or equal to 0"),
        ("weight_ema", 1.0, "should be less than 1"),
        ("early_stop", -1, "should be greater than or equal to 0"),
        ("early_stop", 1000000, "should be less than or equal to 100000"),
    ],
)
def test_an_ingredient_out_of_range_is_refused_with_its_bound(key: str, value: float, line: str) -> None:
    assert refusal(changes={f"train.{key}": value}) == f"params.yaml: recipes.quick.train.{key}: {value}: {line}"


def test_early_stop_needs_a_validation_part() -> None:
    assert refusal(changes={"train.early_stop": 3}) == (
        "params.yaml: recipes.quick.train.early_stop: 3 needs a validation part, but defaults.data.split.val is 0; set "
        "that to 0.2, say, or this to 0"
    )
    numbers = {"train": 3, "test": 2, "val": 1}
    for changes in ({"data.split.val": 0.2}, {"data.split.per_class": numbers}, {"data.set": "folder"}):
        assert experiment(changes={"train.early_stop": 3, **changes}).train.early_stop == 3
