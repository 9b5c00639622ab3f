"""Stage `train`: one repeat's network, from pre-trained values, on the training part alone."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipeline import tracking
from pipeline.assembly import augmentation_grid, networks
from pipeline.assembly.loss_terms import loss_terms
from pipeline.assembly.run_record import Machine, inference_speed, machine, run_record, runtime_record
from pipeline.assembly.training_plan import as_user_error, training_examples, training_plan
from pipeline.assembly.transforms import eval_transform, train_transform
from pipeline.core import paths, records, seeding
from pipeline.core.errors import one_line_errors
from pipeline.core.files import repeat_argument, write_json, write_table
from pipeline.core.loop_settings import loop_settings
from pipeline.core.recipe import NONE, Recipe
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation.distributions import distributions, first_values
from pipeline.networks.backbones.table import make
from pipeline.networks.build import build
from pipeline.networks.network import Network
from pipeline.training import checkpoints, contract, loop


def main(arguments: list[str]) -> None:
    """Train, follow the curves in MLflow while it goes on, and write network, curves, record and run time."""
    repeat = repeat_argument(arguments)
    recipe = Recipe.read()
    on, data = machine(recipe), Packed.open(paths.PACKED)
    parts = read_parts(data, repeat=repeat)
    network = make_network(recipe, classes=len(data.classes), repeat=repeat).to(on.device)
    record = run_record(recipe, data, parts, network, on=on, repeat=repeat)
    before = first_values(network.model)
    started = datetime.now(UTC)
    with tracking.follow(record, repeats=recipe.repeats) as live:
        outcome = run(recipe, network, data, parts, record, on=on, live=live)
    write_network(recipe, network, data, repeat=repeat)
    first = {"start": before, "trained": first_values(network.model), "random": random_values(recipe, repeat=repeat)}
    sheet = augmentation_grid.augmented(recipe, data, parts["train"], repeat=repeat)
    write_history(outcome, record, distributions(first), sheet, repeat=repeat)
    speed = inference_speed(recipe, network, classes=len(data.classes), on=on)
    with paths.written_whole(paths.runtime_file(repeat)) as target:
        write_json(target, runtime_record(outcome, on, speed, data.sha256, started=started))


def read_parts(data: Packed, *, repeat: int) -> dict[str, Tensor]:
    """Return the rows of the packed array in each part; `train` is never empty."""
    rows: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    number = {name: row for row, name in enumerate(data.paths)}
    for image in manifest.read(paths.split_file(repeat), manifest.Assigned):
        rows[image.part].append(number[image.path])
    return {part: torch.tensor(members, dtype=torch.long) for part, members in rows.items()}


def make_network(recipe: Recipe, *, classes: int, repeat: int) -> Network:
    """Build the network with this repeat's initial values for what is not pre-trained."""
    torch.manual_seed(seeding.derive("network", repeat))
    pretrained = None if recipe.network.weights == NONE else checkpoints.read(paths.SOURCE_WEIGHTS)
    return build(networks.plan(recipe, classes=classes), pretrained=pretrained)


def run(
    recipe: Recipe,
    network: Network,
    data: Packed,
    parts: Mapping[str, Tensor],
    record: Mapping[str, Any],
    *,
    on: Machine,
    live: tracking.LiveRun,
) -> contract.TrainResult:
    """Run the loop on this repeat's training part.

    Raises:
        InputError: for a loss that is not finite, naming epoch, step and the batch's files.
    """
    repeat = record["repeat"]
    examples = partial(training_examples, data, parts, on.device)
    eval_examples = partial(examples, eval_transform(recipe.data.sizes))
    try:
        terms = loss_terms(recipe, network, record, eval_examples=eval_examples, repeat=repeat)
        return loop.fit(
            network,
            examples(train_transform(recipe)),
            loop_settings(recipe),
            seed=repeat,
            plan=training_plan(recipe, network, terms),
            on_epoch=lambda row: live.log(row, int(row["epoch"])),
        )
    except (ValueError, contract.NotFiniteError) as error:
        raise as_user_error(error, recipe, data) from None


def write_network(recipe: Recipe, network: Network, data: Packed, *, repeat: int) -> None:
    """Write the weights under torchvision's names, and what is needed to build the network again."""
    with paths.written_whole(paths.trained(repeat)) as target:
        target.mkdir()
        checkpoints.save(network.model.state_dict(), target / "weights.safetensors")
        options = {family: recipe.options[family] for family in ("attention", "head")}
        model = {"network": recipe.network.model_dump(), "options": options}
        write_json(target / "model.json", model | {"sizes": recipe.data.sizes._asdict(), "classes": list(data.classes)})


def random_values(recipe: Recipe, *, repeat: int) -> dict[str, Tensor]:
    """Return the first layers' values as they would be without pre-training."""
    torch.manual_seed(seeding.derive("network", repeat))
    return first_values(make(recipe.network.backbone, recipe.data.input_size))


def write_history(
    outcome: contract.TrainResult,
    record: Mapping[str, Any],
    first: Mapping[str, Any],
    sheet: bytes | None,
    *,
    repeat: int,
) -> None:
    """Write curves, a row an epoch, the record, the first layers' distributions, and a sheet of augmented images."""
    with paths.written_whole(paths.training_metrics(repeat)) as target:
        target.mkdir()
        write_table(target / "history.csv", outcome.history)
        write_json(target / "record.json", records.of_training(record))
        (target / "values.json").write_text(json.dumps(first) + "\n", encoding="utf-8")
        if sheet is not None:
            (target / paths.AUGMENTED).write_bytes(sheet)


if __name__ == "__main__":
    with one_line_errors("train"):
        main(sys.argv[1:])
