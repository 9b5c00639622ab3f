"""The rate of each block with layer decay."""

import pytest
import tiny
import torch

from pipeline import config
from pipeline.assembly import networks
from pipeline.assembly.loop_settings import loop_settings
from pipeline.assembly.training_plan import training_plan
from pipeline.training import optim

FACTORS = {"backbone": 0.5, "attention": 3.0, "head": 2.0}


@pytest.mark.parametrize("attention", ["none", "cbam"])
def test_each_block_has_its_own_rate_that_falls_from_the_head_down(attention: str) -> None:
    changes = {"train.layer_decay": 0.5, "train.lr_factors": FACTORS, "train.lr": 1.0}
    recipe = tiny.experiment(changes, freeze="3a", attention=attention)
    network = networks.structure(recipe, classes=3)
    plan = training_plan(recipe, network)
    plan.phases[0].start()
    assert plan.groups
    optimizer = optim.make_optimizer(plan.groups(), loop_settings(recipe), lr=1.0, factors=plan.lr_factors)
    names = {id(parameter): name for name, parameter in network.model.named_parameters()}
    rates = {names[id(parameter)]: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    trained = {name for name, parameter in network.model.named_parameters() if parameter.requires_grad}
    assert set(rates) == trained
    inserted = tuple(f"{name}." for name in network.inserted)
    assert bool(inserted) == (attention != "none")
    expected = {"layer2": 0.0625, "layer3": 0.125, "layer4": 0.25, "fc": 2.0}
    for name, rate in rates.items():
        assert rate == (3.0 if inserted and name.startswith(inserted) else expected[name.split(".")[0]])
    assert optim.rate(optimizer, plan.lr_factors) == 1.0


def test_without_layer_decay_the_groups_are_the_networks_own() -> None:
    recipe = tiny.experiment(freeze="3a")
    plan = training_plan(recipe, networks.structure(recipe, classes=3))
    assert plan.groups is None
    assert plan.lr_factors == {"backbone": 1.0, "attention": 1.0, "head": 1.0}


def test_groups_by_stage_are_the_three_groups_divided() -> None:
    network = networks.structure(tiny.experiment(freeze="2", attention="se"), classes=3)
    with torch.device("meta"):
        by_stage, whole = network.groups_by_stage(), network.groups()
    assert {id(one) for name in ("stem", "block1", "block2", "block3", "block4") for one in by_stage[name]} == (
        {id(one) for one in whole["backbone"]}
    )
    assert [by_stage["attention"], by_stage["head"]] == [whole["attention"], whole["head"]]


def test_layer_decay_is_remarked_on_where_only_the_head_trains() -> None:
    resolved = tiny.resolved({"train.layer_decay": 0.5}, freeze="1")
    assert "recipes.quick.train.layer_decay changes nothing: no block trains, only the head" in config.remarks(resolved)
