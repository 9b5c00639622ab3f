"""The network of a recipe."""

from collections.abc import Mapping
from typing import Any

import torch

from pipeline.core import compiler, digests, paths, seeding
from pipeline.core.recipe import NONE, Recipe
from pipeline.core.recipe import Network as NetworkSettings
from pipeline.networks.build import Plan, build
from pipeline.networks.network import Network
from pipeline.training import checkpoints


def plan(recipe: Recipe, *, classes: int) -> Plan:
    """Return the build plan of a recipe's network."""
    return plan_of(recipe.network, recipe.options, classes=classes, image_size=recipe.data.input_size)


def plan_of(
    network: NetworkSettings, options: Mapping[str, Mapping[str, Any]], *, classes: int, image_size: int
) -> Plan:
    """Return the build plan of a network.

    Args:
        network: `backbone`, `attention` and `head` by name.
        options: options of attention and head, by family and name.
        classes: K, the number of scores.
        image_size: the side of the network's input, in pixels.
    """
    # `position` is an option of the insertion; the others are the module's arguments.
    attention_options = dict(options["attention"].get(network.attention, {}))
    return Plan(
        backbone=network.backbone,
        head=network.head,
        classes=classes,
        image_size=image_size,
        head_options=dict(options["head"].get(network.head, {})),
        attention=network.attention,
        position=attention_options.pop("position", None),
        attention_options=attention_options,
    )


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
