"""Files of a trained network: its weights under their library's names, and the settings to build it again."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.assembly import networks
from pipeline.core import digests, paths
from pipeline.core.recipe import Recipe
from pipeline.core.records import ModelRecord
from pipeline.networks.build import build
from pipeline.networks.network import Network
from pipeline.training import checkpoints

WEIGHTS, MODEL = "weights.safetensors", "model.json"


def save(folder: Path, recipe: Recipe, network: Network, classes: list[str]) -> None:
    """Write a trained network into a folder.

    Args:
        folder: an empty folder.
        recipe: the recipe of the network.
        network: the trained network.
        classes: class names in the order of its scores.
    """
    checkpoints.save(network.model.state_dict(), folder / WEIGHTS)
    model_record(recipe, classes).write(folder / MODEL)
    digests.seal(folder)


def model_record(recipe: Recipe, classes: Sequence[str]) -> ModelRecord:
    """Return what is needed to build a recipe's network again."""
    # Of all options these alone change the structure.
    options = {family: recipe.options[family] for family in ("attention", "head")}
    return ModelRecord(
        network=recipe.network,
        options=options,
        sizes=recipe.data.sizes,
        classes=tuple(classes),
        mean=recipe.data.mean,
        std=recipe.data.std,
    )


def load(repeat: int) -> Network:
    """Build the trained network of a repeat from its files."""
    weights = paths.trained(repeat) / WEIGHTS
    digests.check(weights)
    model = record(repeat)
    plan = networks.plan_with(model.network, model.options, classes=len(model.classes), image_size=model.sizes.input)
    network = build(plan, pretrained=None)
    network.model.load_state_dict(checkpoints.read(weights))
    return network


def record(repeat: int) -> ModelRecord:
    """Return what is needed to build the network of a repeat again."""
    file = paths.trained(repeat) / MODEL
    return ModelRecord.parse(digests.read(file), file)
