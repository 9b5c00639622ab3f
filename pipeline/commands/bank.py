"""`orbweaver bank`: what frozen networks give for the experiment's images, from its training part alone."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from pipeline.bank import folds
from pipeline.bank.probes import LOGISTIC, PROBES
from pipeline.config import Resolved
from pipeline.core.errors import InputError
from pipeline.preview import overriding
from pipeline.preview.overriding import read, say_remarks
from pipeline.preview.training_part import TrainingPart, training_part
from pipeline.reporting.tables import Table, three_figures
from pipeline.reporting.text_tables import fitted, wrapped

if TYPE_CHECKING:
    from pipeline.bank.bank import Result
    from pipeline.preview.frozen_backbones import Asked


@click.command()
@overriding.option()
@click.option(
    "--backbones",
    metavar="NAME[=FILE],...",
    help="Backbones, each with an optional weights file; by default all whose weights are on this machine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, including the accuracy of every fold.")
def command(sets: tuple[str, ...], backbones: str | None, as_json: bool) -> None:
    """Rank pre-trained networks by their frozen features.

    Classifiers on the features take seconds to minutes. Accuracies are estimated by nested cross-validation within the
    training part of the first repeat, without test images. Features are cached, so a second call is quick. No weights
    are downloaded.
    """
    resolved = read(sets)
    say_remarks(resolved)
    # Here, since neither `--help` nor a refused setting waits for torch.
    from pipeline.preview.frozen_backbones import OPTION, at_this_machine, measure, named

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


def _is_usable(one: "Asked", resolved: Resolved, *, named: bool) -> bool:
    """Return whether a backbone can be measured, saying why it cannot be where it was not named.

    Raises:
        InputError: where one that was named cannot be.
    """
    from pipeline.preview.frozen_backbones import check_usable

    try:
        check_usable(one, resolved)
    except InputError as error:
        if named:
            raise
        click.echo(f"bank: left out: {error}", err=True)
        return False
    return True


def as_json_text(results: Sequence["Result"], part: TrainingPart) -> str:
    """Return the results as JSON."""
    content = {
        "set": part.title,
        "repeat": part.repeat,
        "training_images": len(part.rows),
        "classes": part.classes,
        "backbones": [one._asdict() for one in results],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def as_text(results: Sequence["Result"], part: TrainingPart) -> str:
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
            three_figures(one.images_per_second),
            f"{one.fit_seconds:.1f}",
        )
        for one in results
    ]
    lines = [
        f"{part.title}: {len(part.rows):,} training images of repeat {part.repeat}, {len(part.classes):,} classes",
        "",
        fitted(Table(header, rows, numbers_from=2)),
        "",
        wrapped(
            f"Accuracy in percent with its 95 % interval, by nested cross-validation inside the training part ({parts} "
            "parts); no test image was used."
        ),
        *map(wrapped, _kept(results)),
    ]
    return "\n".join(lines)


def _percent(estimate: dict[str, Any]) -> str:
    mean = f"{100 * estimate['mean']:.1f}"
    if estimate["low"] is None:
        return mean
    return f"{mean} ({100 * estimate['low']:.1f} to {100 * estimate['high']:.1f})"


def _kept(results: Sequence["Result"]) -> Iterator[str]:
    found = [one.backbone for one in results if one.found]
    if found:
        yield f"Nothing was computed anew for {', '.join(found)}: seconds are those of the first time."
