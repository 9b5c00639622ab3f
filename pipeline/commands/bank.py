"""`orbweaver bank`: what frozen networks give for the experiment's images, from its training part alone."""

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from pipeline.assembly.machine import machine
from pipeline.bank import bank, folds, price
from pipeline.bank.bank import Result
from pipeline.bank.features import Frozen
from pipeline.bank.probes import LOGISTIC, PROBES
from pipeline.commands import at_hand, overriding
from pipeline.commands.compare import aligned
from pipeline.commands.overriding import read, say_remarks
from pipeline.commands.training_part import TrainingPart, training_part
from pipeline.config import Resolved
from pipeline.config.choices import AUTO
from pipeline.core import paths
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.networks.backbones import table
from pipeline.networks.backbones.table import BACKBONES
from pipeline.reporting.tables import Table

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


@click.command()
@overriding.option
@click.option(
    OPTION,
    metavar="NAME[=FILE],...",
    help="Backbones, each with an optional weights file; by default all whose weights are on this machine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, including the accuracy of every fold.")
def command(overrides: tuple[str, ...], backbones: str | None, as_json: bool) -> None:
    """Rank pre-trained networks by their frozen features.

    Classifiers on the features take seconds to minutes. Accuracies are estimated by nested cross-validation within the
    training part of the first repeat, without test images. Features are cached, so a second call is quick. No weights
    are downloaded.
    """
    resolved = read(overrides)
    say_remarks(resolved)
    asked = list(named(backbones, resolved) if backbones else at_this_machine(resolved))
    available = [one for one in asked if _is_usable(one, resolved, named=backbones is not None)]
    if not available:
        raise InputError(
            f"{OPTION}: no backbone has weights on this machine; give one with a file: resnet18=/path/to/it"
        )
    with training_part(resolved) as part:
        if note := folds.remark(part.labels, part.groups, part.classes):
            click.echo(f"bank: {note}", err=True)
        results = [measure(one, resolved, part) for one in available]
        click.echo(as_json_text(results, part) if as_json else as_text(results, part))


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


def _is_usable(one: Asked, resolved: Resolved, *, named: bool) -> bool:
    """Return whether a backbone can be measured, saying why it cannot be where it was not named.

    Raises:
        InputError: where one that was named cannot be.
    """
    try:
        check_usable(one, resolved)
    except InputError as error:
        if named:
            raise
        click.echo(f"bank: left out: {error}", err=True)
        return False
    return True


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


def as_json_text(results: Sequence[Result], part: TrainingPart) -> str:
    """Return the results as JSON."""
    content = {
        "set": part.title,
        "repeat": part.repeat,
        "training_images": len(part.rows),
        "classes": part.classes,
        "backbones": [one._asdict() for one in results],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def as_text(results: Sequence[Result], part: TrainingPart) -> str:
    """Return the results as a table, with what they are of."""
    parts = len(results[0].probes[LOGISTIC]["parts"])
    header = (
        "backbone",
        "weights",
        *(probe.title for probe in PROBES.values()),
        "features (s)",
        "images/s",
        "fits (s)",
    )
    rows = [
        (
            one.backbone,
            one.weights,
            *(_percent(one.probes[name]) for name in PROBES),
            f"{one.feature_seconds:.1f}",
            f"{one.images_per_second:.0f}",
            f"{one.fit_seconds:.1f}",
        )
        for one in results
    ]
    lines = [
        f"{part.title}: {len(part.rows):,} training images of repeat {part.repeat}, {len(part.classes):,} classes",
        "",
        *aligned(Table(header, rows, numbers_from=2)),
        "",
        f"Accuracy in percent with its 95 % interval, by nested cross-validation inside the training part ({parts} "
        "parts); no test image was used.",
        *_kept(results),
    ]
    return "\n".join(lines)


def _percent(estimate: dict[str, Any]) -> str:
    mean = f"{100 * estimate['mean']:.1f}"
    if estimate["low"] is None:
        return mean
    return f"{mean} ({100 * estimate['low']:.1f} to {100 * estimate['high']:.1f})"


def _kept(results: Sequence[Result]) -> Iterator[str]:
    found = [one.backbone for one in results if one.found]
    if found:
        yield f"Nothing was computed anew for {', '.join(found)}: seconds are those of the first time."
