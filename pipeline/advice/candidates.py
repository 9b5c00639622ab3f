"""The candidates: strategies and regularizers, by backbone and augmentation, in the words of params.yaml."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from pipeline.networks.backbones.table import known
from pipeline.networks.strategies import WHOLE, part_of

# The number of the division whose test part no inner division enters.
DIVISION = 1
# Where a budget pays for few, the first are tried: the last blocks, which did best in most of the papers' tables, then
# all layers, then the head alone, and what is between or pulls all layers back.
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "3b": {"freeze": "3b"},
    "lp_ft": {"freeze": "lp_ft"},
    "2": {"freeze": 2},
    "1": {"freeze": 1},
    "lora": {"freeze": "lora"},
    "bitfit": {"freeze": "bitfit"},
    "3c": {"freeze": "3c"},
    "3a": {"freeze": "3a"},
    "l2_sp": {"freeze": 2, "regularizer": "l2_sp"},
    "spa_gca": {"freeze": 2, "regularizer": "spa_gca"},
}
AUGMENTATIONS = ("none", "flip")


class Candidate(NamedTuple):
    """One way to adapt a network.

    Attributes:
        name: of a study's cell.
        settings: what it sets, by the keys of params.yaml.
    """

    name: str
    settings: Mapping[str, Any]


def candidates(
    backbones: Sequence[str] = (), augmentations: Iterable[str] = AUGMENTATIONS, *, own: str
) -> list[Candidate]:
    """Return all candidates, the first of each backbone and augmentation before the second.

    Args:
        backbones: by name; empty for that of the recipe.
        augmentations: by name.
        own: the recipe's backbone.

    >>> [one.name for one in candidates(["resnet18"], own="resnet18")][:3]
    ['resnet18-3b', 'resnet18-3b-flip', 'resnet18-lp_ft']
    >>> [one.name for one in candidates(["resnet18", "vit_b_16"], own="") if "lora" in one.name]
    ['vit_b_16-lora', 'vit_b_16-lora-flip']
    """
    networks: list[dict[str, Any]] = [{"backbone": name} for name in backbones] or [{}]
    every = []
    for (strategy, settings), network, augmentation in product(STRATEGIES.items(), networks, augmentations):
        if part_of(str(settings["freeze"])) != WHOLE and not known(network.get("backbone", own)).attends:
            continue
        words = [*network.values(), strategy, *([] if augmentation == "none" else [augmentation])]
        # A cell's name has none of the marks that timm's names have.
        every.append(
            Candidate(re.sub(r"[^\w-]", "-", "-".join(words)), {**network, **settings, "augmentation": augmentation})
        )
    return every


def inner(repeats: int) -> dict[str, Any]:
    """Return what all trials set: so many divisions of the training part, without the test part."""
    return _divided(repeats) | {"defaults.data.split.inner": True}


def outer(repeats: int) -> dict[str, Any]:
    """Return what the last comparison sets: the division whose test part nothing has seen, and so many seeds."""
    return _divided(repeats)


def fewer(repeats: int, fraction: float) -> dict[str, Any]:
    """Return what a point of the learning curve sets: an inner division with a fraction of its training images."""
    return inner(repeats) | {"defaults.data.split.train_fraction": fraction}


def _divided(repeats: int) -> dict[str, Any]:
    return {"repeats": list(range(1, repeats + 1)), "defaults.data.split.division": DIVISION}
