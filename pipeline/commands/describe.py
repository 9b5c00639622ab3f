"""`orbweaver describe`: the experiment as it would run, without running it."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pipeline import config
from pipeline.config import Resolved, choices
from pipeline.config.comments import comments
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.files import flat
from pipeline.preview import overriding
from pipeline.preview.overriding import places, read, say_remarks

if TYPE_CHECKING:
    from pipeline.networks.network import Network

# Of more layers of a stage than these, the first two and the last are named.
SHOWN_LAYERS = 6
# The value of --choices alone.
ALL = "*"


@click.command()
@overriding.option()
@click.option("--classes", type=click.IntRange(min=2), help="Number of classes; by default that of the data.")
@click.option("--images", type=click.IntRange(min=1), help="Number of training images; by default that of the data.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--choices",
    is_flag=False,
    flag_value=ALL,
    metavar="[KEY]",
    help="List what KEY can be instead; without KEY, the choices of every key.",
)
def command(sets: tuple[str, ...], classes: int | None, images: int | None, as_json: bool, choices: str | None) -> None:
    """Print settings, trained layers and estimated training time.

    Each setting is printed with its origin; layers with the number of frozen and trainable parameters. Without --json,
    some seconds of training on this device give the estimate of time, and show how far attention moves the features at
    the start. No images or weights are needed, and nothing is downloaded.
    """
    if choices is not None:
        listed = select(choices)
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False) if as_json else choices_as_text(listed))
        return
    resolved = read(sets)
    say_remarks(resolved)
    # Here, since neither `--help` nor `--choices` waits for torch.
    from pipeline.commands import outlook
    from pipeline.preview.at_hand import count_classes

    classes = classes or count_classes(resolved)
    described = describe(resolved, classes)
    if as_json:
        click.echo(json.dumps(described, indent=2, ensure_ascii=False))
        return
    click.echo(as_text(described))
    for line in outlook.measured(resolved, classes, images):
        click.echo(f"  {line}")


def select(key: str) -> dict[str, list[dict[str, Any]]]:
    """Return the choices of one key, or of all, as plain data.

    Raises:
        InputError: for a key without choices, listing those that have some.
    """
    listed = choices.listed()
    if key not in (ALL, *listed):
        raise InputError(f"--choices: {key!r} has no choices; keys with choices: {', '.join(listed)}")
    return {
        name: [line._asdict() | {"options": list(line.options)} for line in lines]
        for name, lines in listed.items()
        if key in (ALL, name)
    }


def choices_as_text(listed: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the same as text: a line a choice, with the names of its options."""
    width = max(len(line["name"]) for lines in listed.values() for line in lines)
    blocks = [
        "\n".join([key, *(f"  {line['name']:<{width}}  {line['description']}{_listed(line)}" for line in lines)])
        for key, lines in listed.items()
    ]
    return "\n\n".join(blocks)


def _listed(line: Mapping[str, Any]) -> str:
    return f" ({', '.join(line['options'])})" if line["options"] else ""


def describe(resolved: Resolved, classes: int) -> dict[str, Any]:
    """Return the resolved experiment as plain data."""
    from pipeline.assembly import networks, regularizers
    from pipeline.evaluation import cost
    from pipeline.networks import freezing

    recipe = resolved.recipe
    network = networks.structure(recipe, classes=classes)
    phases = regularizers.phase_records(recipe, network)
    return {
        "recipe": recipe.recipe,
        "classes": classes,
        "settings": settings(resolved),
        "phases": [phase.model_dump(mode="json") for phase in phases],
        "layers": layers(network),
        "parameters": dict(freezing.count(network)) | {"regularizer": regularizers.own_parameters(phases)},
        "added": freezing.count_added(network),
        "flops": cost.flops(network, recipe.data.input_size),
    }


def settings(resolved: Resolved) -> dict[str, dict[str, Any]]:
    """Return each value by its name, with the key of params.yaml that it is from and that key's comment.

    A comment is of the value beside it in the file, often its place in a paper: another value has none.
    """
    recipe = resolved.recipe
    values = recipe.settings().model_dump(mode="json")
    # The phases have an entry of their own.
    del values["train"]["phases"]
    values["options"]["data"] = recipe.options["data"]
    others = places(resolved) | recipe.model_dump(
        mode="json", include={"repeats", "device", "threads", "cpu_instructions"}
    )
    origins = {name: (value, resolved.origin(name)) for name, value in flat(values)}
    origins |= {name: (value, name) for name, value in others.items()}
    notes, written = comments(paths.PARAMS), dict(flat(config.read()))
    return {
        name: {
            "value": value,
            "from": origin,
            "note": notes.get(origin, "") if _same(value, written.get(origin)) else "",
        }
        for name, (value, origin) in origins.items()
    }


def _same(value: Any, written: Any) -> bool:
    """Return whether a value is the one in the file, where a name such as `freeze: 2` is a number."""
    return bool(value == written or str(value) == str(written))


def layers(network: "Network") -> list[dict[str, Any]]:
    """Return each stage of the network with its layers and how much of it trains in the last phase."""
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


def as_text(description: dict[str, Any]) -> str:
    """Return the same as text."""
    settings = description["settings"]
    width = max(map(len, settings))
    values = max(len(str(entry["value"])) for entry in settings.values())
    lines = [f"recipe {description['recipe']}, {description['classes']} classes", ""]
    lines += [f"  {n:<{width}}  {e['value']!s:<{values}}  {e['from']}{_note(e)}" for n, e in settings.items()]
    lines += ["", "  stage      trains  parameters  layers"]
    lines += [
        f"  {row['stage']:<10} {_verdict(row):<6} {row['parameters']:>11,}  {_span(row['layers'])}"
        for row in description["layers"]
    ]
    counts = description["parameters"]
    lines += ["", *_phase_lines(description["phases"]), *_regularizer_lines(description["phases"])]
    if description["added"]:
        lines.append(f"  low-rank updates of attention: {description['added']:,} added parameters, merged at the end")
    lines += [
        f"  trainable {counts['trainable']:,}, frozen {counts['frozen']:,} (with batch-norm statistics)",
        f"  one image's forward pass: {description['flops'] / 1e9:.2f} billion floating-point operations",
    ]
    return "\n".join(lines)


def _note(entry: Mapping[str, Any]) -> str:
    """Return the place in the paper, for what a recipe states."""
    return f"  ({entry['note']})" if entry["note"] and entry["from"].startswith("recipes.") else ""


def _regularizer_lines(parts: list[dict[str, Any]]) -> list[str]:
    """Return the layers that each phase compares with the pre-trained network, where it does."""
    lines = []
    for part in parts:
        if "hooked_layers" in part:
            idle = f"; frozen, so left out: {', '.join(part['idle_layers'])}" if part["idle_layers"] else ""
            lines.append(
                f"  regularizer {part['regularizer']}, amount {part['amount']}: "
                f"{part['regularizer_parameters']:,} parameters of its own"
            )
            lines.append(f"    compares {', '.join(part['hooked_layers']) or 'nothing'}{idle}")
    return lines


def _phase_lines(phases: list[dict[str, Any]]) -> list[str]:
    """Return the phases where there are several, and with which the head is solved."""
    solved = [
        f"  the head is solved on the frozen network's features when phase {number} begins"
        for number, phase in enumerate(phases, start=1)
        if "head" in phase
    ]
    return [*_several(phases), *solved]


def _several(phases: list[dict[str, Any]]) -> list[str]:
    if len(phases) == 1 or phases[0]["regularizer"] != phases[1]["regularizer"]:
        return []
    lines = [
        f"  phase {number}: freeze {phase['freeze']}, amount {phase['amount']}, lr {phase['lr']:g}, "
        f"trainable {phase['trainable']:,}"
        for number, phase in enumerate(phases, start=1)
    ]
    return [*lines, "  the layers above and the counts below are the last phase's"]


def _span(layers: list[str]) -> str:
    return ", ".join(layers) if len(layers) <= SHOWN_LAYERS else f"{layers[0]}, {layers[1]}, ..., {layers[-1]}"


def _verdict(row: dict[str, Any]) -> str:
    if not row["parameters"]:
        return "-"
    if 0 < row["trainable"] < row["parameters"]:
        return "partly"
    return "yes" if row["trains"] else "frozen"
