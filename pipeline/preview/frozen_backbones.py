"""Frozen backbones to measure on the experiment's images, each with its weights, and what one gives."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.assembly.machine import machine
from pipeline.bank import bank, price
from pipeline.bank.bank import Result
from pipeline.bank.features import Frozen
from pipeline.config import Resolved
from pipeline.core import paths
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.naming import AUTO
from pipeline.networks.backbones import table
from pipeline.networks.backbones.table import BACKBONES
from pipeline.preview import at_hand
from pipeline.preview.training_part import TrainingPart

OPTION = "--backbones"
# Weights that are tried for a backbone without a file, in this order.
TRIED = ("bundled", "imagenet", "timm")


class Asked(NamedTuple):
    """A backbone to measure.

    Attributes:
        backbone: its name.
        weights: a row of `WEIGHTS`.
        file: for the weights `file`; "" for others.
    """

    backbone: str
    weights: str
    file: str = ""


def named(words: str, resolved: Resolved) -> Iterator[Asked]:
    """Yield the backbones of the option.

    Raises:
        InputError: for an unknown one.
    """
    for word in words.split(","):
        name, _, file = word.strip().partition("=")
        table.known(name, key=OPTION)
        yield Asked(name, "file", file) if file else _without_file(name, resolved)


def at_this_machine(resolved: Resolved) -> Iterator[Asked]:
    """Yield the experiment's own backbone with its own weights, then all others."""
    own = resolved.recipe.network.backbone
    for name in dict.fromkeys([own, *BACKBONES]):
        yield _without_file(name, resolved)


def _without_file(name: str, resolved: Resolved) -> Asked:
    network, published = resolved.recipe.network, list(table.known(name).published())
    if name == network.backbone and network.weights != NONE:
        return Asked(name, network.weights, resolved.settings.axes.weights_file if network.weights == "file" else "")
    return Asked(name, next((kind for kind in TRIED if kind in published), NONE))


def check_usable(one: Asked, resolved: Resolved) -> None:
    """Refuse a backbone that cannot be measured.

    Raises:
        InputError: for images that are too small for it, or weights that are not on this machine.
    """
    table.check_size(one.backbone, resolved.recipe.data.input_size)
    _values(one, resolved)


def _of(one: Asked, resolved: Resolved) -> Resolved:
    """Return the experiment with another backbone, and with its interpolation where that is `auto`."""
    recipe, settings = resolved.recipe, resolved.settings
    network = recipe.network.model_copy(update={"backbone": one.backbone, "weights": one.weights})
    data = recipe.data
    if settings.layers(recipe.recipe, data.set).get("data.interpolation") == AUTO:
        data = data.model_copy(update={"interpolation": table.known(one.backbone).interpolation})
    axes = settings.axes.model_copy(update={"weights_file": one.file or str(paths.NO_WEIGHTS_FILE)})
    changed = recipe.model_copy(update={"network": network, "data": data})
    return resolved._replace(recipe=changed, settings=settings._replace(axes=axes))


def _values(one: Asked, resolved: Resolved) -> Any:
    """Return the pre-trained values.

    Raises:
        InputError: where they are not on this machine, or not this backbone's.
    """
    way_out = f"give a file of them, {OPTION} {one.backbone}=/path/to/it"
    if one.weights == NONE:
        raise InputError(f"{one.backbone}: no pre-trained weights are published; {way_out}")
    if one.file and not Path(one.file).is_file():
        raise InputError(f"{OPTION}: {one.backbone}: {one.file}: no such file; name that of its weights")
    values = at_hand.pretrained(_of(one, resolved))
    if values is None:
        raise InputError(f"{one.backbone}: its {one.weights} weights are not on this machine; {way_out}")
    return values


def measure(one: Asked, resolved: Resolved, part: TrainingPart) -> Result:
    """Return what one backbone gives."""
    return bank.measured(
        _frozen(one, resolved), f"file {Path(one.file).name}" if one.file else one.weights, _images(one, resolved, part)
    )


def seconds(one: Asked, resolved: Resolved, part: TrainingPart) -> float:
    """Return about how long that takes, 0 for what is kept."""
    return price.seconds(_frozen(one, resolved), _images(one, resolved, part))


def _frozen(one: Asked, resolved: Resolved) -> Frozen:
    recipe = _of(one, resolved).recipe
    return Frozen(recipe.network, recipe.data.sizes, recipe.data.packing, _values(one, resolved), machine(recipe))


def _images(one: Asked, resolved: Resolved, part: TrainingPart) -> bank.Images:
    packed = functools.partial(part.packed, _of(one, resolved).recipe)
    return bank.Images([row.sha256 for row in part.rows], part.labels, part.groups, packed)
