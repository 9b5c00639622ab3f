"""The network of a recipe."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from pipeline.core import compiler, digests, paths, seeding
from pipeline.core.choices import NONE
from pipeline.core.recipe import Recipe
from pipeline.core.sections import Network as NetworkSettings
from pipeline.networks.build import Plan, build, plan_of
from pipeline.networks.network import Network
from pipeline.networks.strategies import LORA
from pipeline.training import checkpoints


def plan(recipe: Recipe, *, classes: int) -> Plan:
    """Return the build plan of a recipe's network, with the low-rank updates that it trains."""
    plain = plan_with(recipe.network, recipe.options, classes=classes, image_size=recipe.data.input_size)
    return replace(plain, low_rank=recipe.options_of("freeze", LORA) or None)


def plan_with(
    network: NetworkSettings, options: Mapping[str, Mapping[str, Any]], *, classes: int, image_size: int
) -> Plan:
    """Return the build plan of a network, see `build.plan_of`."""
    names = {"backbone": network.backbone, "attention": network.attention, "head": network.head}
    return plan_of(**names, options=options, classes=classes, image_size=image_size)


def initial(recipe: Recipe, *, classes: int, repeat: int) -> Network:
    """Build a repeat's initial network: pre-trained values, and random ones of its own seed for the rest."""
    torch.manual_seed(seeding.derive("network", repeat))
    if recipe.network.weights == NONE:
        return build(plan(recipe, classes=classes), pretrained=None)
    digests.check(paths.SOURCE_WEIGHTS)
    return build(plan(recipe, classes=classes), pretrained=checkpoints.read(paths.SOURCE_WEIGHTS))


def structure(recipe: Recipe, *, classes: int) -> Network:
    """Build the network on torch's meta device, without values; raise for parts that do not fit together."""
    with compiler.meta_device():
        return build(plan(recipe, classes=classes), pretrained=None)
