"""All that can be chosen: the tables of the packages, by the setting that names a row."""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.core.choices import NONE, Choice
from pipeline.datasets.collect.sets import SETS
from pipeline.datasets.transforms.table import AUGMENTATIONS
from pipeline.networks.attention.table import ATTENTIONS
from pipeline.networks.backbones.table import BACKBONES
from pipeline.networks.heads.table import HEADS
from pipeline.networks.strategies import OTHER_STRATEGIES, STRATEGIES
from pipeline.networks.weights import WEIGHTS
from pipeline.regularizers.table import METHODS
from pipeline.training.table import CLASS_WEIGHTS, OPTIMIZERS, SAMPLERS, SCHEDULES


def _or_none(table: Mapping[str, Choice], description: str) -> dict[str, Choice]:
    return {NONE: Choice(title=NONE, description=description), **table}


# By the dotted name of the setting in a recipe.
TABLES: dict[str, Mapping[str, Choice]] = {
    "data.set": SETS,
    "data.augmentation": _or_none(AUGMENTATIONS, "none; only the random crop, if crop_size is smaller than the image"),
    "network.backbone": BACKBONES,
    "network.weights": WEIGHTS,
    "network.freeze": {**STRATEGIES, **OTHER_STRATEGIES},
    "network.attention": ATTENTIONS,
    "network.head": HEADS,
    "train.optimizer": OPTIMIZERS,
    "train.schedule": SCHEDULES,
    "train.sampler": SAMPLERS,
    "train.class_weights": CLASS_WEIGHTS,
    "regularizer.method": METHODS,
}
# The sections of `options`, and the setting whose choices have options there.
FAMILIES = {
    "data": "data.set",
    "augmentation": "data.augmentation",
    "freeze": "network.freeze",
    "attention": "network.attention",
    "head": "network.head",
    "optimizer": "train.optimizer",
    "schedule": "train.schedule",
    "regularizer": "regularizer.method",
}
# The keys at the top of params.yaml that take the place of a recipe's setting.
AXES = {
    "data": "data.set",
    "backbone": "network.backbone",
    "weights": "network.weights",
    "freeze": "network.freeze",
    "attention": "network.attention",
    "regularizer": "regularizer.method",
    "head": "network.head",
    "image_size": "data.image_size",
    "augmentation": "data.augmentation",
    "lr": "train.lr",
    "batch_size": "train.batch_size",
    "budget": "train.budget.amount",
}


class Line(NamedTuple):
    """A choice as it is listed.

    Attributes:
        name: as a user writes it.
        description: one line.
        options: the names of its options, those of `options.FAMILY.NAME` in params.yaml.
    """

    name: str
    description: str
    options: tuple[str, ...]


def listed() -> dict[str, list[Line]]:
    """Return every choice, by axis, or by setting where no axis is for it."""
    axes = {setting: axis for axis, setting in AXES.items()}
    return {
        axes.get(setting, setting): [
            Line(name, row.description, tuple(row.options_type.model_fields) if row.options_type else ())
            for name, row in table.items()
        ]
        for setting, table in TABLES.items()
    }
