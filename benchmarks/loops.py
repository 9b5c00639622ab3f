"""The loops that are timed: this project's on drawn noise, and a tuned plain torchvision loop to compare it with.

Needs torch, torchvision, numpy and tqdm alone.
"""

import hashlib
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from loop_cells import Cell
from torch import Tensor, nn

from pipeline.core import compiler, provenance, seeding
from pipeline.core.precision import Precision, autocast, in_force, set_float32
from pipeline.networks.backbones.table import backbone
from pipeline.networks.build import Plan, build
from pipeline.networks.freezing import freeze
from pipeline.networks.network import Network
from pipeline.regularizers.contract import Shapes
from pipeline.regularizers.feature_hooks import FeatureHooks, freeze_reference
from pipeline.regularizers.feature_regularizer import FeatureRegularizer
from pipeline.regularizers.table import METHODS
from pipeline.training import batches, contract, loop, optim, sampling
from pipeline.training.epoch import Epoch
from pipeline.training.images import Images
from pipeline.training.predict import scores_and_features

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 9
# Adam's.
RATE = 2e-4
# As in params.yaml.
DROPOUT = {"linear": 0.0, "mlp1024": 0.5}


class Fixed(Images):
    """Images that are read once, to see what a step takes without them."""

    _first: Tensor | None = None

    def batch(self, rows: Tensor, random_parameters: Tensor | None = None) -> Tensor:
        """Return the first batch."""
        if self._first is None:
            self._first = super().batch(rows, random_parameters)
        return self._first[: len(rows)]


class FromFile(Images):
    """Images for which the device has no room."""

    def free_memory(self) -> int:
        """Return nothing."""
        return 0


SOURCES: dict[str, type[Images]] = {"resident": Images, "file": FromFile, "fixed": Fixed}


def made(cell: Cell, device: torch.device) -> Network:
    """Build the network of a cell with random values."""
    torch.manual_seed(cell.seed)
    plan = Plan(
        cell.backbone,
        cell.head,
        classes=CLASSES,
        image_size=cell.side,
        head_options={"dropout": DROPOUT[cell.head]},
        attention=cell.attention,
    )
    network = build(plan, pretrained=None).to(device)
    freeze(network, cell.strategy)
    return network


def loss_term(cell: Cell, network: Network) -> FeatureRegularizer:
    """Build the loss term of a cell's regularizer, by its own default options."""
    row, own = METHODS[cell.regularizer], backbone(cell.backbone)
    prefix = [step.name for step in network.steps[: network.frozen_prefix()]]
    layers = [layer for layer in own.hooked_layers if not any(f"{layer}.".startswith(f"{one}.") for one in prefix)]
    sizes = shapes(network, layers, cell.side)
    available = {
        "shapes": sizes,
        "head": own.classifier,
        "network": network.model,
        "inserted": network.inserted,
        "channel_weights": {layer: torch.ones(size[0]) for layer, size in sizes.items()},
    }
    device = next(network.parameters()).device
    method = row.make(**{need: available[need] for need in row.needs}).to(device)
    hooked = layers if "shapes" in row.needs else []
    stop = next(number for number, step in enumerate(network.steps) if step.stage in ("pool", "head"))
    return FeatureRegularizer(network, cast(Network, freeze_reference(network)), method, hooked, stop=stop)


@torch.no_grad()
def shapes(network: Network, layers: list[str], side: int) -> Shapes:
    """Return (C, H, W) of each layer's output."""
    network.eval()
    device = next(network.parameters()).device
    with compiler.deferred(), FeatureHooks(network.model, layers) as maps:
        network(torch.zeros(1, 3, side, side, device=device))
    network.train()
    return {layer: tuple(one.shape[1:]) for layer, one in maps.items()}


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """Raise where a step waits for the device; between epochs it may."""
    if device.type != "cuda":
        yield
        return
    of_epoch, scores = batches.of_epoch, Epoch.scores

    def strict(*arguments: Any, **options: Any) -> Any:
        epoch = of_epoch(*arguments, **options)
        torch.cuda.set_sync_debug_mode("error")
        return epoch

    def relaxed(epoch: Epoch) -> dict[str, float]:
        torch.cuda.set_sync_debug_mode("default")
        return scores(epoch)

    with patch.object(batches, "of_epoch", strict), patch.object(Epoch, "scores", relaxed):
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def ours(cell: Cell, device: torch.device) -> tuple[contract.TrainResult, Network]:
    """Train as the stages do, and classify the images that are held out; return the loop's result and the network."""
    precision = in_force(cell.precision, device)
    seeding.make_exact(threads="auto", device=device.type, precision=precision)
    network, array = made(cell, device), noise(cell)
    every = torch.arange(cell.images + cell.held_out)
    rows, held_out = every[: cell.images], every[cell.images :]
    images = SOURCES[cell.source](array, every, mean=MEAN, std=STD, device=device)
    examples = contract.Examples(images, every % CLASSES, rows, rows[:0])
    recipe = settings(cell, precision)
    term = loss_term(cell, network) if cell.regularizer else None
    plan = contract.TrainingPlan((contract.PhasePlan(cell.epochs, recipe.lr, loss_term=lambda: term),))
    result = loop.fit(network, examples, recipe, seed=cell.seed, plan=plan, name=None)
    if len(held_out):
        scores_and_features(network, images, held_out, batch_size=cell.batch, precision=precision)
    return result, network


def noise(cell: Cell) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return a cell's images, of noise."""
    return _noise(cell.images + cell.held_out, cell.side)


# Drawing those of Table 5 takes a second, each of its trainings too has them.
@lru_cache(maxsize=1)
def _noise(count: int, side: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    return np.random.default_rng(0).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def digest(network: nn.Module) -> str:
    """Return the SHA-256 of a network's values."""
    total = hashlib.sha256()
    for value in network.state_dict().values():
        total.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def tuned(cell: Cell, device: torch.device) -> list[float]:
    """Train by a plain loop with all that makes one fast, nothing exact; return the seconds of each epoch.

    The library's own `forward`, images that are decoded and on the device, channels last, Adam in one kernel, frozen
    layers without gradients; no feature is cached.
    """
    # An exact loop, timed before, turns them on.
    torch.set_deterministic_debug_mode("default")
    torch.backends.cudnn.benchmark = True
    precision = in_force(cell.precision, device)
    set_float32(precision)
    network = made(cell, device).to(memory_format=torch.channels_last)
    network.train()
    images = torch.from_numpy(noise(cell)).to(device)
    labels = (torch.arange(cell.images) % CLASSES).to(device)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=RATE, fused=True)
    return list(_tuned_epochs(cell, network.model, (images, labels), optimizer, precision))


def _tuned_epochs(
    cell: Cell,
    model: nn.Module,
    examples: tuple[Tensor, Tensor],
    optimizer: torch.optim.Optimizer,
    precision: Precision,
) -> Iterator[float]:
    images, labels = examples
    mean, std = (255 * torch.tensor(one, device=images.device).view(1, 3, 1, 1) for one in (MEAN, STD))
    every = torch.arange(cell.images)
    counted = contract.Examples(cast(Images, None), every % CLASSES, every, every[:0])
    for epoch in range(1, cell.epochs + 1):
        started = time.perf_counter()
        total = torch.zeros((), device=images.device)
        order = sampling.order(counted, contract.TrainingPlan(), seed=0, epoch=epoch).to(images.device)
        for rows in order.split(cell.batch):
            x = ((images[rows] - mean) / std).contiguous(memory_format=torch.channels_last)
            with autocast(precision, images.device.type):
                loss = F.cross_entropy(model(x).float(), labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        # Reading a value waits for the device.
        total.item()
        yield time.perf_counter() - started


def settings(cell: Cell, precision: Precision) -> optim.LoopSettings:
    """Return settings of the loop: Adam at a constant rate."""
    return optim.LoopSettings(
        budget=SimpleNamespace(unit="epochs", amount=cell.epochs),
        batch_size=cell.batch,
        optimizer="adam",
        optimizer_options={"beta1": 0.9, "beta2": 0.999},
        lr=RATE,
        weight_decay=0.0,
        schedule="constant",
        schedule_options={},
        precision=precision,
        feature_cache_mb=cell.cache_mb,
    )


def machine(device: torch.device) -> dict[str, Any]:
    """Return device, threads, system and versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else provenance.processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "cuda": torch.version.cuda or "",
        "versions": provenance.versions(),
    }


LOOPS: dict[str, Callable[[Cell, torch.device], list[float]]] = {
    "ours": lambda cell, device: ours(cell, device)[0].epoch_seconds,
    "tuned": tuned,
}
