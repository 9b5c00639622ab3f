"""Stage `train`: one repeat's network, from pre-trained values, on the training part alone."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pipeline import params, tracking
from pipeline.assembly import augmentation_grid, channel_weights, objects, regularizers
from pipeline.core import compiler, paths, provenance, records, seeding
from pipeline.core.errors import InputError, one_line_errors
from pipeline.core.files import repeat_argument, write_json, write_table
from pipeline.datasets import manifest
from pipeline.datasets.packed import Packed
from pipeline.evaluation import cost
from pipeline.evaluation.distributions import distributions, first_values
from pipeline.networks import freezing
from pipeline.networks.backbones.table import backbone, make
from pipeline.networks.build import NO_ATTENTION, build, trunk
from pipeline.networks.network import Network
from pipeline.params import Params
from pipeline.params import Train as TrainSettings
from pipeline.regularizers.guide import Guide
from pipeline.training import checkpoints, engine
from pipeline.training.images import Images, View

# How long the speed with and without attention is measured.
MEASURED_SECONDS = 2.0


class Machine(NamedTuple):
    """What a run computes on."""

    device: torch.device
    threads: int


def main(arguments: list[str]) -> None:
    """Train, follow the curves in MLflow while it goes on, and write network, curves, record and run time."""
    repeat = repeat_argument(arguments)
    values = params.load(paths.PARAMS)
    machine = set_up(values)
    data = Packed.open(paths.PACKED)
    parts = read_parts(paths.split_file(repeat), data)
    network = make_network(values, classes=len(data.classes), repeat=repeat).to(machine.device)
    record = describe_run(values, data, parts, network, machine=machine, repeat=repeat)
    before = first_values(network.model)
    started = datetime.now(UTC)
    with tracking.follow(record, repeats=values.repeats) as live:
        outcome = run(network, values, data, parts, record, machine=machine, repeat=repeat, live=live)
    write_network(network, data, values, repeat=repeat)
    sheet = augmentation_grid.augmented(values.experiment(), data, parts["train"], repeat=repeat)
    first = {"start": before, "trained": first_values(network.model), "random": random_values(values, repeat=repeat)}
    write_history(outcome.history, record, distributions(first), sheet, repeat=repeat)
    speed = inference_speed(values, network, classes=len(data.classes), machine=machine)
    write_runtime(outcome, machine, speed, data.sha256, repeat=repeat, started=started)


def set_up(values: Params) -> Machine:
    """Choose the device, fix the threads and have everything computed the same way each time."""
    device = torch.device(seeding.choose_device(values.device))
    return Machine(device, seeding.make_exact(threads=values.threads, device=device.type))


def read_parts(path: Path, data: Packed) -> dict[str, Tensor]:
    """The rows of the packed array in each part; `train` is never empty."""
    rows: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    number = {name: row for row, name in enumerate(data.paths)}
    for image in manifest.read(path, manifest.Assigned):
        rows[image.part].append(number[image.path])
    return {part: torch.tensor(chosen, dtype=torch.long) for part, chosen in rows.items()}


def make_network(values: Params, *, classes: int, repeat: int) -> Network:
    """The experiment's network with this repeat's initial values for what is not pre-trained."""
    torch.manual_seed(seeding.derive("network", repeat))
    return build(objects.experiment_plan(values.experiment(), classes=classes), pretrained=pretrained(values))


def pretrained(values: Params) -> dict[str, Tensor] | None:
    """The values that training starts from; None where it starts from random ones."""
    scratch = values.experiment().settings.network.freeze == "scratch" or not paths.SOURCE_WEIGHTS.exists()
    return None if scratch else checkpoints.read(paths.SOURCE_WEIGHTS)


def guides(
    values: Params, network: Network, record: Mapping[str, Any], *, still: Callable[[], engine.Examples], repeat: int
) -> list[Callable[[], Guide | None]]:
    """What makes the regularizer of each part of the training; nothing where none has a part of its own.

    Args:
        values: of params.yaml.
        network: the one that trains, with the values that it starts from.
        record: what `describe_run` gives.
        still: makes the training images as they are shown in testing, on which channels are weighed.
        repeat: its number.
    """
    experiment, classes = values.experiment(), len(record["data"]["classes"])
    methods = {part.regularizer for part in experiment.parts()}
    if not any(regularizers.adds_to_the_loss(method) for method in methods):
        return []
    source = regularizers.plain_source(experiment, network, classes=classes)
    weights = None
    taps = sorted({tap for phase in record["phases"] for tap in phase.get("taps", [])})
    if channel_weights.METHOD in methods and taps:
        weights = channel_weights.channels(
            values,
            still(),
            taps,
            classes=classes,
            pretrained=trunk(source.model.state_dict(), backbone(experiment.settings.network.backbone)),
            follows_from={name: record[name] for name in ("data", "weights", "device", "threads")}
            | ({} if record["weights"]["sha256"] else {"repeat": repeat}),
        )
    return regularizers.Guides(experiment, network, source=source, repeat=repeat, channel_weights=weights).makers()


def run(
    network: Network,
    values: Params,
    data: Packed,
    parts: Mapping[str, Tensor],
    record: Mapping[str, Any],
    *,
    machine: Machine,
    repeat: int,
    live: tracking.LiveRun,
) -> engine.Outcome:
    """The loop on this repeat's training part.

    Raises:
        InputError: where the loss is not finite, naming epoch, step and the batch's files.
    """
    experiment = values.experiment()
    settings = experiment.settings
    examples = shown(data, parts, machine.device, objects.training_view(settings.data))
    still = partial(shown, data, parts, machine.device, objects.still_view(settings.data.sizes()))
    try:
        return engine.fit(
            network,
            examples,
            settings.train,
            seed=repeat,
            course=objects.course(experiment, network, guides(values, network, record, still=still, repeat=repeat)),
            on_epoch=lambda row: live.log(row, int(row["epoch"])),
        )
    except (ValueError, engine.NotFiniteError) as error:
        raise explained(error, settings.train, data, method=settings.regularizer.method) from None


def shown(data: Packed, parts: Mapping[str, Tensor], device: torch.device, view: View) -> engine.Examples:
    """What training may look at."""
    seen = torch.cat([parts["train"], parts["val"]])
    images = Images(data.images, seen, mean=data.mean, std=data.std, device=device, view=view)
    return engine.Examples(images, torch.from_numpy(data.labels), parts["train"], parts["val"])


def explained(error: Exception, settings: TrainSettings, data: Packed, *, method: str = "none") -> Exception:
    """In the user's words what stopped the loop; an error that is none of his stays as it is."""
    if isinstance(error, engine.NotFiniteError):
        files = ", ".join(data.paths[row] for row in error.rows)
        own = "" if method in params.WITHOUT_SOURCE else f", or a smaller alpha of regularizer {method}"
        return InputError(f"{error}; a smaller train.lr often helps (now {settings.lr}){own}; the batch: {files}")
    # What torch says of a batch of one image whose map is one position.
    if str(error).startswith("Expected more than 1 value per channel"):
        return InputError(
            f"train.batch_size: {settings.batch_size} leaves a last batch of one image, whose map of one "
            "position a batch norm cannot normalise; change it by one, or raise data.input_size"
        )
    return error


def describe_run(
    values: Params,
    data: Packed,
    parts: Mapping[str, Tensor],
    network: Network,
    *,
    machine: Machine,
    repeat: int,
) -> dict[str, Any]:
    """All that a result follows from, with a key over it; nothing that differs between two equal runs."""
    experiment = values.experiment()
    source = json.loads(paths.SOURCE_RECORD.read_text(encoding="utf-8"))
    scratch = experiment.settings.network.freeze == "scratch"
    record: dict[str, Any] = {
        "recipe": experiment.recipe(),
        "device": machine.device.type,
        "threads": machine.threads,
        "data": {
            "set": experiment.settings.data.set,
            "classes": list(data.classes),
            "images": len(data.paths),
        },
        "weights": {"origin": "none", "sha256": ""}
        if scratch
        else {"origin": source["origin"], "sha256": source.get("sha256", "")},
        "code": provenance.code_hash(),
    }
    key = seeding.fingerprint(record)
    record["data"]["sha256"] = data.sha256
    phases = regularizers.parts(experiment, network)
    return {
        "key": key,
        "paper": experiment.paper,
        "repeat": repeat,
        "seed": repeat,
        **record,
        "phases": phases,
        "parameters": dict(freezing.count(network)) | {"regularizer": regularizers.own_parameters(phases)},
        "stages": freezing.count_by_stage(network),
        "flops": computation(values, network, classes=len(data.classes)),
        "parts": {part: len(rows) for part, rows in parts.items()},
    }


def computation(values: Params, network: Network, *, classes: int) -> dict[str, int]:
    """Operations of one image's forward pass, also without attention where there is some."""
    size = values.experiment().settings.data.sizes().input
    with compiler.meta_device():
        plain = without_attention(values, classes=classes)
    found = {"network": cost.flops(network, size)}
    return found | ({"without_attention": cost.flops(plain, size)} if plain else {})


def without_attention(values: Params, *, classes: int) -> Network | None:
    """The same network without its attention, random values; None where it has none."""
    plan = objects.experiment_plan(values.experiment(), classes=classes)
    if plan.attention == NO_ATTENTION:
        return None
    return build(replace(plan, attention=NO_ATTENTION), pretrained=None)


def inference_speed(values: Params, network: Network, *, classes: int, machine: Machine) -> dict[str, float]:
    """Images a second of the forward pass with and without attention, in the recipe's precision; else nothing."""
    plain = without_attention(values, classes=classes)
    if plain is None:
        return {}
    settings = values.experiment().settings
    side = settings.data.sizes().input
    batch = torch.zeros(settings.train.batch_size, 3, side, side, device=machine.device)
    batch = batch.to(memory_format=torch.channels_last)
    networks = {"network": network, "without_attention": plain.to(machine.device)}
    precision = torch.bfloat16 if settings.train.precision == "bf16" else torch.float32
    found = cost.images_per_second(networks, batch, seconds=MEASURED_SECONDS, precision=precision)
    return {name: round(rate, 2) for name, rate in found.items()}


def write_network(network: Network, data: Packed, values: Params, *, repeat: int) -> None:
    """The weights under torchvision's names, and what is needed to build the network again."""
    settings = values.experiment().settings
    with paths.written_whole(paths.trained(repeat)) as target:
        target.mkdir()
        checkpoints.save(network.model.state_dict(), target / "weights.safetensors")
        model = {
            "network": settings.network.model_dump(mode="json"),
            "sizes": settings.data.sizes()._asdict(),
            "classes": list(data.classes),
        }
        write_json(target / "model.json", model)


def random_values(values: Params, *, repeat: int) -> dict[str, Tensor]:
    """The first layers' values as they would be without pre-training, and are under `scratch`."""
    experiment = values.experiment()
    torch.manual_seed(seeding.derive("network", repeat))
    return first_values(make(experiment.settings.network.backbone, experiment.settings.data.sizes().input))


def write_history(
    history: Sequence[engine.Row],
    record: Mapping[str, Any],
    first: Mapping[str, Any],
    sheet: bytes | None,
    *,
    repeat: int,
) -> None:
    """The curves, one row an epoch, what they follow from, how the first layers' values lie, and images as varied."""
    with paths.written_whole(paths.training_metrics(repeat)) as target:
        target.mkdir()
        write_table(target / "history.csv", history)
        write_json(target / "record.json", records.of_training(record))
        (target / "values.json").write_text(json.dumps(first) + "\n", encoding="utf-8")
        if sheet is not None:
            (target / paths.AUGMENTED).write_bytes(sheet)


def write_runtime(
    outcome: engine.Outcome,
    machine: Machine,
    inference: Mapping[str, float],
    data_sha256: str,
    *,
    repeat: int,
    started: datetime,
) -> None:
    """All that may differ between two equal runs, and what names the data set, labels of test images too."""
    commit, dirty = provenance.commit()
    busy = sum(outcome.epoch_seconds)
    runtime = {
        "train_seconds": round(outcome.seconds, 3),
        "cache_seconds": round(outcome.cache_seconds, 3),
        "epoch_seconds": [round(value, 4) for value in outcome.epoch_seconds],
        "images_per_second": round(outcome.images_trained / busy, 2),
        "inference_images_per_second": dict(inference),
        "device_name": device_name(machine.device),
        "threads": machine.threads,
        "versions": provenance.versions(),
        "git_commit": commit,
        "git_dirty": dirty,
        "git_changes": provenance.changes(),
        "started": started.isoformat(timespec="seconds"),
        records.DATA: data_sha256,
    }
    with paths.written_whole(paths.runtime_file(repeat)) as target:
        write_json(target, runtime)


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else provenance.processor()


if __name__ == "__main__":
    with one_line_errors("train"):
        main(sys.argv[1:])
