"""`orbweaver describe`: the experiment as it would run, without running it."""

import json
from typing import Any

import click

from pipeline.assembly import objects, regularizers
from pipeline.commands.overriding import beside, read
from pipeline.core.errors import InputError
from pipeline.datasets.collect import bringing, sets
from pipeline.evaluation import cost
from pipeline.networks import freezing
from pipeline.networks.network import Network
from pipeline.params import Params, flat

# More layers of a stage than these are told by the first two and the last.
SHOWN_LAYERS = 6


@click.command()
@click.option("-S", "overrides", multiple=True, metavar="KEY=VALUE", help="As for `dvc exp run`; may be repeated.")
@click.option("--classes", type=click.IntRange(min=2), help="How many classes; by default as many as the data has.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(overrides: tuple[str, ...], classes: int | None, as_json: bool) -> None:
    """Print every parameter with where it comes from, the layers frozen and trained, and how many numbers train.

    Needs neither images nor weights, and downloads nothing.
    """
    values = read(overrides)
    found = describe(values, classes or count_classes(values))
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else as_text(found))


def count_classes(values: Params) -> int:
    """How many classes the experiment's data has.

    Raises:
        InputError: where the folder cannot tell.
    """
    row = sets.known(values.experiment().settings.data.set)
    if row.classes:
        return row.classes
    try:
        found = bringing.read_own(row, values.place_of(row.given_by))
    except InputError as error:
        raise InputError(f"{error}; or say how many classes with --classes") from None
    return len({file.label for file in found.files})


def describe(values: Params, classes: int) -> dict[str, Any]:
    """The resolved experiment as plain data."""
    experiment = values.experiment()
    network = objects.structure(experiment, classes=classes)
    phases = regularizers.parts(experiment, network)
    return {
        "paper": experiment.paper,
        "classes": classes,
        "settings": {
            name: {"value": value, "from": experiment.origin(name)} for name, value in flat(experiment.recipe())
        }
        | {name: {"value": value, "from": name} for name, value in flat(beside(values))},
        "phases": phases,
        "layers": layers(network),
        "parameters": dict(freezing.count(network)) | {"regularizer": regularizers.own_parameters(phases)},
        "flops": cost.flops(network, experiment.settings.data.sizes().input),
    }


def layers(network: Network) -> list[dict[str, Any]]:
    """Each stage of the network with what it holds and how much of it trains, in the last phase."""
    return [
        {
            "stage": name,
            "layers": [step.name for step in steps],
            "trains": any(p.requires_grad for p in parameters),
            "parameters": sum(p.numel() for p in parameters),
            "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        }
        for name, steps in network.stages()
        for parameters in [[p for step in steps for _, p in network.parameters_of(step)]]
    ]


def as_text(found: dict[str, Any]) -> str:
    """The same for people."""
    settings = found["settings"]
    width = max(map(len, settings))
    values = max(len(str(entry["value"])) for entry in settings.values())
    lines = [f"paper {found['paper']}, {found['classes']} classes", ""]
    lines += [f"  {n:<{width}}  {e['value']!s:<{values}}  {e['from']}" for n, e in settings.items()]
    lines += ["", "  stage      trains  parameters  layers"]
    lines += [
        f"  {row['stage']:<10} {_verdict(row):<6} {row['parameters']:>11,}  {_span(row['layers'])}"
        for row in found["layers"]
    ]
    counts = found["parameters"]
    lines += ["", *_phase_lines(found["phases"]), *_regularizer_lines(found["phases"])]
    lines += [
        f"  trainable {counts['trainable']:,}, frozen {counts['frozen']:,} (with batch-norm statistics)",
        f"  one image's forward pass: {found['flops'] / 1e9:.2f} billion floating-point operations",
    ]
    return "\n".join(lines)


def _regularizer_lines(parts: list[dict[str, Any]]) -> list[str]:
    """What each part of the training compares with the pre-trained network, where it does."""
    told = []
    for part in parts:
        if "taps" in part:
            idle = f"; frozen, so left out: {', '.join(part['idle_taps'])}" if part["idle_taps"] else ""
            told.append(
                f"  regularizer {part['regularizer']}, amount {part['amount']}: "
                f"{part['regularizer_parameters']:,} parameters of its own"
            )
            told.append(f"    compares {', '.join(part['taps']) or 'nothing'}{idle}")
    return told


def _phase_lines(phases: list[dict[str, Any]]) -> list[str]:
    if len(phases) == 1 or phases[0]["regularizer"] != phases[1]["regularizer"]:
        return []
    told = [
        f"  phase {number}: freeze {phase['freeze']}, amount {phase['amount']}, lr {phase['lr']:g}, "
        f"trainable {phase['trainable']:,}"
        for number, phase in enumerate(phases, start=1)
    ]
    return [*told, "  the layers above and the counts below are the last phase's"]


def _span(layers: list[str]) -> str:
    return ", ".join(layers) if len(layers) <= SHOWN_LAYERS else f"{layers[0]}, {layers[1]}, ..., {layers[-1]}"


def _verdict(row: dict[str, Any]) -> str:
    if not row["parameters"]:
        return "-"
    if 0 < row["trainable"] < row["parameters"]:
        return "partly"
    return "yes" if row["trains"] else "frozen"
