"""The candidates: strategies and regularizers, by backbone and augmentation, in the words of params.yaml."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from pipeline.advice import prior
from pipeline.core.choices import NONE
from pipeline.datasets.transforms.table import AUGMENTATIONS as AUGMENTATION_ROWS
from pipeline.networks.backbones.table import known
from pipeline.networks.strategies import PROBE, WHOLE, part_of
from pipeline.regularizers.table import METHODS
from pipeline.reporting.wording import FREEZING

Settings = Mapping[str, Any]

# The number of the division whose test part no inner division enters.
DIVISION = 1
# In the order in which they are tried where nothing is known of them, see `prior`.
STRATEGIES: Mapping[str, Settings] = {
    "3b": {"freeze": "3b"},
    "lp_ft": {"freeze": "lp_ft"},
    "probe": {"freeze": "probe"},
    "2": {"freeze": 2},
    "1": {"freeze": 1},
    "lora": {"freeze": "lora"},
    "bitfit": {"freeze": "bitfit"},
    "3c": {"freeze": "3c"},
    "3a": {"freeze": "3a"},
    "l2_sp": {"freeze": 2, "regularizer": "l2_sp"},
    "spa_gca": {"freeze": 2, "regularizer": "spa_gca"},
}
MODERN = "modern"
AUGMENTATIONS = ("none", "flip")
# What of the recipe `modern` is not part of the candidate: early stop takes a validation part, which the others would
# lack, batches are no ingredient, and rate and budget have words of their own.
NOT_TAKEN = ("early_stop", "batch_size", "lr", "budget")


class Candidate(NamedTuple):
    """One way to adapt a network.

    Attributes:
        name: of a study's cell.
        settings: what it sets, by the keys of params.yaml.
    """

    name: str
    settings: Mapping[str, Any]


def candidates(
    backbones: Sequence[str] = (),
    augmentations: Iterable[str] = AUGMENTATIONS,
    *,
    own: str,
    weights: Mapping[str, Settings] | None = None,
    more: Mapping[str, Settings] | None = None,
    known_elsewhere: Mapping[str, float] | None = None,
) -> list[Candidate]:
    """Return all candidates: every strategy of every backbone with the first augmentation, then with the second.

    A budget then pays for more strategies before it pays for one twice.

    Args:
        backbones: by name; empty for that of the recipe.
        augmentations: by name.
        own: the recipe's backbone.
        weights: what a backbone's candidates set for its weights, by its name.
        more: strategies beside those of the table.
        known_elsewhere: how far below the best they were on other images, which decides their order.

    >>> [one.name for one in candidates(["resnet18", "vgg16"], own="resnet18")][:3]
    ['resnet18-3b', 'vgg16-3b', 'resnet18-lp_ft']
    >>> [one.name for one in candidates(["resnet18", "vit_b_16"], own="") if "lora" in one.name]
    ['vit_b_16-lora', 'vit_b_16-lora-flip']
    >>> [one.name for one in candidates(own="resnet18", known_elsewhere={"1": 0.0, "probe": 0.1})][:3]
    ['1', 'probe', '3b']
    """
    networks: list[dict[str, Any]] = [{"backbone": name, **(weights or {}).get(name, {})} for name in backbones]
    networks = networks or [{}]
    strategies = {**STRATEGIES, **(more or {})}
    order = prior.ordered(list(strategies), known_elsewhere or {})
    every = []
    for augmentation, strategy, network in product(augmentations, order, networks):
        settings = strategies[strategy]
        if part_of(str(settings["freeze"])) != WHOLE and not known(network.get("backbone", own)).attends:
            continue
        if augmentation != "none" and not _is_augmented(settings):
            continue
        words = [
            *([network["backbone"]] if network else []),
            strategy,
            *([] if augmentation == "none" else [augmentation]),
        ]
        # A cell's name has none of the marks that timm's names have.
        name = re.sub(r"[^\w-]", "-", "-".join(words))
        # The recipe's own regularizer is a candidate of its own, and stays in no other one.
        own_words = {"augmentation": augmentation, "regularizer": NONE}
        every.append(Candidate(name, {**network, **own_words, **settings}))
    return every


def in_words(name: str) -> str:
    """Return a candidate's name as it stands in a sentence, where a number alone would be read as one.

    >>> in_words("2"), in_words("3b-flip"), in_words("lp_ft")
    ('strategy 2', 'strategy 3b-flip', 'lp_ft')
    """
    return f"strategy {name}" if name[0].isdigit() else name


def _is_augmented(settings: Settings) -> bool:
    """Return whether an augmentation changes anything and is not the strategy's own."""
    return "augmentation" not in settings and settings["freeze"] != PROBE


def meaning(settings: Settings) -> str:
    """Return in words what a candidate does.

    >>> meaning({"freeze": "3b", "augmentation": "none", "regularizer": "none"})
    'blocks 3 and 4 and the head train'
    >>> meaning({"freeze": 2, "regularizer": "l2_sp", "augmentation": "flip"})
    'everything trains, from pre-trained values; the regularizer is L2-SP; training images vary by a horizontal flip'
    """
    words = [FREEZING[str(settings["freeze"])]]
    if (method := settings.get("regularizer", NONE)) != NONE:
        words.append(f"the regularizer is {METHODS[method].title}")
    if augmentation := AUGMENTATION_ROWS.get(settings["augmentation"]):
        words.append(f"training images vary by {augmentation.title}")
    return "; ".join(words)


def modern(section: Mapping[str, Any], place: Callable[[str], str], *, unit: str, given: Iterable[str]) -> Settings:
    """Return the ingredients of the recipe `modern` as settings over another recipe.

    Args:
        section: the recipe's, of params.yaml.
        place: where a setting such as "train.mixup" comes from in the other recipe, as a key of params.yaml.
        unit: of that recipe's budget; in another unit its budget stays.
        given: what the user has set for all trials; a place that is one of them is left alone.
    """
    train = {name: value for name, value in section["train"].items() if name not in NOT_TAKEN}
    budget = section["train"]["budget"]
    own = {
        "freeze": section["network"]["freeze"],
        "augmentation": section["data"]["augmentation"],
        "lr": section["train"]["lr"],
        **({"budget": budget["amount"]} if budget["unit"] == unit else {}),
    }
    placed = {place(f"train.{name}"): value for name, value in train.items()}
    return {key: value for key, value in (own | placed).items() if key not in given}


def inner(repeats: int) -> dict[str, Any]:
    """Return what all trials set: so many divisions of the training part, without the test part."""
    return _divided(repeats) | {"defaults.data.split.inner": True}


def outer(repeats: int) -> dict[str, Any]:
    """Return what the last comparison sets: the division whose test part nothing has seen, and so many seeds."""
    return _divided(repeats) | {"defaults.data.split.inner": False}


def fewer(repeats: int, fraction: float) -> dict[str, Any]:
    """Return what a point of the learning curve sets: an inner division with a fraction of its training images."""
    return inner(repeats) | {"defaults.data.split.train_fraction": fraction}


def _divided(repeats: int) -> dict[str, Any]:
    return {"repeats": list(range(1, repeats + 1)), "defaults.data.split.division": DIVISION}
