"""Stage `train`: one repeat's network, from pre-trained values, on the training part alone."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pipeline import tracking
from pipeline.assembly import augmentation_grid, duration, networks, resumption, trained, training
from pipeline.assembly.machine import Machine, machine
from pipeline.assembly.resumption import Resumption
from pipeline.assembly.run_record import inference_speed, run_record, runtime_record
from pipeline.core import digests, paths, provenance, seeding, stopping, unedited
from pipeline.core.errors import one_line_errors
from pipeline.core.files import repeat_argument, write_table
from pipeline.core.recipe import Recipe
from pipeline.core.records import Record, Runtime
from pipeline.datasets.prepared import groups
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation.distributions import distributions, first_values
from pipeline.networks.backbones.table import make
from pipeline.networks.network import Network
from pipeline.training import contract

# The state of the end is kept, unless it took less than half a minute to reach.
WAY_OUT = "undo the edit, and the same command goes on from the checkpoint; with the edit, it trains anew"


def main(arguments: list[str]) -> None:
    """Train, follow the curves in MLflow while it goes on, and write network, curves, record and run time."""
    # At once: the user may edit params.yaml for the next run, or commit, while this one trains.
    beginning, before = provenance.beginning(), unedited.sources("train")
    repeat = repeat_argument(arguments)
    recipe = Recipe.read()
    on, data = machine(recipe), Packed.open(paths.PACKED, mean=recipe.data.mean, std=recipe.data.std)
    parts = read_parts(data, repeat=repeat)
    alike = groups.read()
    network = networks.initial(recipe, classes=len(data.classes), repeat=repeat).to(on.device)
    record = run_record(recipe, data, parts, network, on=on, repeat=repeat)
    resumption.check_result_fits(network)
    say_how_long(recipe, network, parts, record, on=on)
    start = first_values(network.model)
    # To the end: what is asked to stop while it writes its results is through in a moment.
    with stopping.noted() as stop:
        keeping = Resumption(stop, recipe.checkpoint_every)
        keeper = keeping.keeper(resumption.follows_from(record, parts, data.sha256), name="train")
        with tracking.follow(
            record, data_sha256=data.sha256, repeats=recipe.repeats, naming=recipe.naming, shown=recipe.mlflow
        ) as live:
            outcome = training.run(
                recipe,
                network,
                data,
                parts,
                record,
                on=on,
                on_epoch=lambda row: live.log(row, int(row["epoch"])),
                alike=alike,
                keeping=keeping,
                keeper=keeper,
            )
        unedited.check("train", before, way_out=WAY_OUT)
        with paths.written_whole(paths.trained(repeat)) as target:
            target.mkdir()
            trained.save(target, recipe, network, data.classes)
        ends = {"trained": first_values(network.model), "random": random_values(recipe, repeat=repeat)}
        sheet = augmentation_grid.augmented(recipe, data, parts["train"], repeat=repeat)
        write_history(outcome, record, distributions({"start": start} | ends), sheet)
        speed = inference_speed(recipe, network, classes=len(data.classes), on=on)
        measured = runtime_record(outcome, on, speed, data.sha256, beginning=beginning, naming=recipe.naming)
        write_runtime(measured, repeat=repeat)
        resumption.mark_trained(keeper, repeat)
    stop.end_all("after its last step; the same command goes on from there")


def read_parts(data: Packed, *, repeat: int) -> dict[str, Tensor]:
    """Return the rows of the packed array in each part; `train` is never empty.

    Raises:
        InputError: for a split that is not what its stage wrote, or is of other images.
    """
    assigned = data.assigned(paths.split_file(repeat))
    return {part: torch.tensor(rows, dtype=torch.long) for part, rows in assigned.items()}


def say_how_long(recipe: Recipe, network: Network, parts: Mapping[str, Tensor], record: Record, *, on: Machine) -> None:
    """Print the minutes that the training and those of all repeats will take, unless they are seconds."""
    sizes = duration.PartSizes(len(parts["train"]), len(parts["val"]))
    if duration.is_short(recipe, record.flops.network, sizes):
        return
    try:
        seconds = duration.seconds_a_repeat(recipe, network, sizes, classes=len(record.data.classes), on=on)
    except (ValueError, RuntimeError, contract.NotFiniteError):
        # Such as a GPU without room for a copy. What stops the training too is said by the training.
        return
    print(f"train: {duration.sentence(seconds, len(recipe.repeats))}, as measured here before", flush=True)


def random_values(recipe: Recipe, *, repeat: int) -> dict[str, Tensor]:
    """Return the first layers' values as they would be without pre-training."""
    torch.manual_seed(seeding.derive("network", repeat))
    return first_values(make(recipe.network.backbone, recipe.data.input_size))


def write_history(
    outcome: contract.TrainResult,
    record: Record,
    first: Mapping[str, Any],
    sheet: bytes | None,
) -> None:
    """Write curves, a row an epoch, the record, the first layers' distributions, and a sheet of augmented images."""
    with paths.written_whole(paths.training_metrics(record.repeat)) as target:
        target.mkdir()
        write_table(target / "history.csv", outcome.history)
        record.write(target / "record.json")
        (target / "values.json").write_text(json.dumps(first) + "\n", encoding="utf-8")
        if sheet is not None:
            (target / paths.AUGMENTED).write_bytes(sheet)
        digests.seal(target)


def write_runtime(measured: Runtime, *, repeat: int) -> None:
    """Write all that may differ between two equal runs."""
    with paths.written_whole(paths.runtime_file(repeat)) as target:
        measured.write(target)
    digests.seal(paths.runtime_file(repeat))


if __name__ == "__main__":
    with one_line_errors("train"):
        main(sys.argv[1:])
        stopping.ignore()
