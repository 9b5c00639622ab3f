"""DELTA's channel weights, computed once for the same images, weights and settings, and cached in a file.

The head alone is trained on the pre-trained network (L2-FE), then the filters of each layer are left out one at a time
on a few training batches. No seed of a repeat is involved, so repeats with the same training images share the result.
The cache is in DVC's temporary folder of the clone; a file's name is the digest of everything that the weights depend
on. One that was not used for 30 days is removed.

Source: DELTA's published code. Departures: images are still, the eval transform's central crop without a flip, where
that code trains the head and weighs on randomly flipped and cropped ones; batch norms keep their pre-trained statistics
while the head is trained, where that code has them in train mode, so that they follow the new images (it weighs in eval
mode, as here); the rate of the head's training falls at each step, in that code after each epoch; a batch has
`train.batch_size` images, where its script has 32. Reasons: the result follows from images, weights and settings alone,
without a draw of a repeat, so that repeats share it; and the head's training reads the cached output of the frozen
layers.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from filelock import FileLock, Timeout
from torch import Tensor
from tqdm import tqdm

from pipeline.assembly import networks, regularizers
from pipeline.assembly.loop_settings import head_settings
from pipeline.assembly.resumption import NOT_KEPT, Resumption
from pipeline.core import digests, paths, provenance, seeding, unused
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.core.stopping import StoppedError, StopRequest
from pipeline.networks import freezing
from pipeline.networks.build import build
from pipeline.networks.network import Network
from pipeline.regularizers.delta import channel_weights
from pipeline.regularizers.filter_importance import filter_importance
from pipeline.training import checkpoints, contract, loop, sampling
from pipeline.training.resuming import NOTHING_KEPT, Keeper

METHOD = "delta"
# Seconds between two looks at the request to stop while another process is waited for.
LOOK_EVERY = 0.5
SUFFIX = ".safetensors"


def channels(
    recipe: Recipe,
    examples: contract.Examples,
    hooked_layers: Sequence[str],
    *,
    classes: int,
    pretrained: Mapping[str, Tensor] | None,
    follows_from: Mapping[str, Any],
    keeping: Resumption = NOT_KEPT,
) -> dict[str, Tensor]:
    """Return DELTA's channel weights by layer, (C,) on the CPU, from the cache or computed with progress.

    Args:
        recipe: the recipe; `options.regularizer.delta.batches` is the number of batches.
        examples: training images with the eval transform.
        hooked_layers: convolutions of the pre-trained network.
        classes: K, the number of scores.
        pretrained: backbone weights of the pre-trained network; None for random values.
        follows_from: the other inputs of the result (data, weights, device, precision, threads) as plain data.
        keeping: how the state is kept.

    Raises:
        InputError: see `filter_importance` and `channel_weights`.
    """
    head = head_settings(recipe)
    key = seeding.digest(
        {
            "follows_from": dict(follows_from),
            "rows": examples.train.tolist(),
            "labels": examples.labels[examples.train].tolist(),
            "hooked_layers": list(hooked_layers),
            "train": asdict(head) | {"budget": head.budget.model_dump()},
            "network": recipe.network.model_dump(),
            "head": recipe.options["head"],
            "sizes": recipe.data.sizes,
            "options": _options(recipe),
            # Any change of code, or of a package, may change the weights.
            "code": provenance.code_hash(),
            "versions": provenance.versions(),
        }
    )
    # Of repeats that run at the same time one computes, the others wait and read.
    with _locked_file(key, keeping.stop) as file:
        if cached := _cached(file):
            print(f"train: channel weights of {len(hooked_layers)} layers read from {paths.CHANNELS}", flush=True)
            return cached
        head_keeper, weighing_keeper = (
            keeping.keeper({"channels": key, "part": part}, name="train") for part in ("head", "weighing")
        )
        network = trained_head(recipe, examples, classes=classes, pretrained=pretrained, keeper=head_keeper)
        importance = measure_importance(recipe, network, examples, hooked_layers, keeper=weighing_keeper)
        computed = {layer: weights.cpu() for layer, weights in channel_weights(importance).items()}
        with paths.written_whole(file) as target:
            checkpoints.save(computed, target)
        digests.seal(file)
        head_keeper.remove()
        weighing_keeper.remove()
    return computed


def _cached(file: Path) -> dict[str, Tensor]:
    """Return the cached weights; empty if there are none or the file is not what was written, as after a full disk."""
    try:
        digests.check(file)
        return checkpoints.read(file)
    except InputError:
        return {}


def trained_head(
    recipe: Recipe,
    examples: contract.Examples,
    *,
    classes: int,
    pretrained: Mapping[str, Tensor] | None,
    keeper: Keeper = NOTHING_KEPT,
) -> Network:
    """Return the pre-trained network with a trained head and all other values unchanged."""
    plan = replace(networks.plan(recipe, classes=classes), attention=NONE)
    torch.manual_seed(seeding.derive("channels", "network"))
    network = build(plan, pretrained=pretrained).to(examples.images.device)
    freezing.freeze(network, "1")
    seed = seeding.derive("channels", "order")
    loop.fit(network, examples, head_settings(recipe), seed=seed, name="head", keeper=keeper)
    return network


def measure_importance(
    recipe: Recipe,
    network: Network,
    examples: contract.Examples,
    hooked_layers: Sequence[str],
    *,
    keeper: Keeper = NOTHING_KEPT,
) -> dict[str, Tensor]:
    """Return the loss increase (C,) on some training batches without each filter, by layer."""
    options, size = _options(recipe), recipe.train.batch_size
    rows = sampling.order(examples, contract.TrainingPlan(), seed=seeding.derive("channels", "order"), epoch=1)
    rows = rows[: options["batches"] * size]
    batches = [
        (examples.images.batch(part), examples.labels[part].to(examples.images.device)) for part in rows.split(size)
    ]
    saved = keeper.load()
    done = saved["images"] if saved else 0
    with tqdm(total=len(rows), initial=done, unit=" images", desc="channels", disable=None) as progress:
        importance = filter_importance(
            network,
            [f"model.{layer}" for layer in hooked_layers],
            batches,
            lambda scores, targets: F.cross_entropy(scores, targets, reduction="none"),
            filters_at_once=options["filters_at_once"],
            progress=lambda _done, _total: progress.update(),
            saved=saved,
            offer=keeper.offer,
        )
    return {layer: importance[f"model.{layer}"] for layer in hooked_layers}


def _options(recipe: Recipe) -> dict[str, Any]:
    own = recipe.options_of("regularizer", METHOD)
    return {name: own[name] for name in regularizers.WEIGHING}


@contextmanager
def _locked_file(key: str, stop: StopRequest) -> Iterator[Path]:
    """Yield the cache's file for this key, locked against other processes.

    Raises:
        StoppedError: where the process is asked to stop while it waits.
    """
    folder = paths.root() / paths.CHANNELS
    folder.mkdir(parents=True, exist_ok=True)
    unused.remove(folder.glob(f"*{SUFFIX}"))
    file = folder / f"{key}{SUFFIX}"
    lock = FileLock(unused.lock_of(file))
    while not lock.is_locked:
        with suppress(Timeout):
            lock.acquire(timeout=LOOK_EVERY)
        if stop.reason and not lock.is_locked:
            raise StoppedError(stop, "while another process weighs the channels; the same command goes on")
    try:
        unused.note_use(file)
        yield file
    finally:
        lock.release()
