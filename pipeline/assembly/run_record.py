"""All that a result follows from, and all that may differ between two equal runs."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from pipeline.assembly import networks, regularizers
from pipeline.assembly.machine import Machine, device_model
from pipeline.core import compiler, digests, paths, provenance, seeding
from pipeline.core.choices import NONE
from pipeline.core.naming import Naming
from pipeline.core.recipe import Recipe
from pipeline.core.records import (
    Counted,
    DataRecord,
    Operations,
    ParameterCounts,
    PartSizes,
    Record,
    Runtime,
)
from pipeline.core.source_record import SourceRecord
from pipeline.datasets.prepared import division
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation import cost
from pipeline.networks import freezing
from pipeline.networks.build import build
from pipeline.networks.network import Network
from pipeline.training import contract

# How long the speed with and without attention is measured.
MEASURED_SECONDS = 2.0
# Of a record, what its key is over.
KEYED = {"recipe", "device", "device_model", "cpu_instructions", "threads", "data", "weights", "code", "division"}


def run_record(
    recipe: Recipe, data: Packed, parts: Mapping[str, Tensor], network: Network, *, on: Machine, repeat: int
) -> Record:
    """Return the deterministic record of a run: recipe, hashes, code, a key over them, and counts.

    Args:
        recipe: the settings.
        data: the packed set.
        parts: the rows of each part.
        network: as it starts; left as its last phase has it.
        on: where it trains.
        repeat: its number.
    """
    source = SourceRecord.parse(digests.read(paths.SOURCE_RECORD), paths.SOURCE_RECORD)
    phases = regularizers.phase_records(recipe, network)
    record = Record(
        key="",
        recipe_name=recipe.recipe,
        repeat=repeat,
        seed=repeat,
        recipe=recipe.settings(),
        device=on.device.type,
        device_model=device_model(on.device),
        cpu_instructions=on.cpu_instructions,
        precision=on.precision,
        threads=on.threads,
        data=DataRecord(set=recipe.data.set, classes=tuple(data.classes), images=len(data.paths)),
        weights=source.weights,
        code=provenance.code_hash(),
        phases=phases,
        parameters=ParameterCounts(**freezing.count(network), regularizer=regularizers.own_parameters(phases)),
        stages={name: Counted(**counted) for name, counted in freezing.count_by_stage(network).items()},
        flops=computation(recipe, network, classes=len(data.classes)),
        parts=PartSizes(**{part: len(rows) for part, rows in parts.items()}),
        division=division.digest(),
    )
    content = record.model_dump(mode="json", include=KEYED)
    # Equal values are equal weights, whatever file they came in.
    del content["weights"]["file_sha256"]
    return record.model_copy(update={"key": seeding.digest(content)})


def computation(recipe: Recipe, network: Network, *, classes: int) -> Operations:
    """Return the operations of one image's forward pass, also without attention where there is some."""
    size = recipe.data.input_size
    with compiler.meta_device():
        plain = without_attention(recipe, classes=classes)
    return Operations(network=cost.flops(network, size), without_attention=cost.flops(plain, size) if plain else None)


def without_attention(recipe: Recipe, *, classes: int) -> Network | None:
    """Build the same network without its attention, random values; None where it has none."""
    if recipe.network.attention == NONE:
        return None
    return build(replace(networks.plan(recipe, classes=classes), attention=NONE, low_rank=None), pretrained=None)


def inference_speed(recipe: Recipe, network: Network, *, classes: int, on: Machine) -> dict[str, float]:
    """Return images a second of the forward pass with and without attention; empty where there is none."""
    plain = without_attention(recipe, classes=classes)
    if plain is None:
        return {}
    side = recipe.data.input_size
    batch = torch.zeros(recipe.train.batch_size, 3, side, side, device=on.device)
    batch = batch.to(memory_format=torch.channels_last)
    both = {"network": network, "without_attention": plain.to(on.device)}
    rates = cost.images_per_second(both, batch, seconds=MEASURED_SECONDS, precision=on.precision)
    return {name: round(rate, 2) for name, rate in rates.items()}


def runtime_record(
    outcome: contract.TrainResult,
    on: Machine,
    inference: Mapping[str, float],
    data_sha256: str,
    *,
    beginning: provenance.Beginning,
    naming: Naming,
) -> Runtime:
    """Return all that may differ between two equal runs, and the data set's hash, labels of test images included."""
    busy = sum(outcome.epoch_seconds)
    return Runtime(
        train_seconds=round(outcome.seconds, 3),
        cache_seconds=round(outcome.cache_seconds, 3),
        epoch_seconds=tuple(round(value, 4) for value in outcome.epoch_seconds),
        images_per_second=round(outcome.images_trained / busy, 2),
        inference_images_per_second=dict(inference),
        device_name=device_model(on.device) or provenance.processor(),
        cpu_instructions=on.cpu_instructions,
        threads=on.threads,
        versions=provenance.versions(),
        git_commit=beginning.commit,
        git_dirty=beginning.dirty,
        git_changes=beginning.changes,
        naming=naming,
        started=beginning.started,
        data_sha256=data_sha256,
    )
