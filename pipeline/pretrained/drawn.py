"""Weights that are trained here, on drawn shapes that are no spiders."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from pipeline.core import seeding
from pipeline.core.loop_settings import LoopSettings
from pipeline.core.types import Budget
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared import packed
from pipeline.datasets.synthetic import synthetic
from pipeline.networks import build
from pipeline.training import contract, loop
from pipeline.training.images import Images


def trained(
    backbone: str, options: Mapping[str, Any], *, device: str, threads: int | Literal["auto"]
) -> dict[str, Tensor]:
    """Train a network from random values and return all of its own, its classifier's too.

    Args:
        backbone: a row of the table.
        options: those of the weights `synthetic`.
        device: as the recipe has it.
        threads: likewise.
    """
    seed, size = options["seed"], options["image_size"]
    on = torch.device(seeding.choose_device(device))
    used = seeding.make_exact(threads=threads, device=on.type)
    torch.manual_seed(seeding.derive("source", seed))
    network = build.build(_plan(backbone, size), pretrained=None).to(on)
    array, labels = draw(images=options["images"], size=size, seed=seed)
    rows = torch.arange(len(array))
    images = Images(array, rows, mean=packed.MEAN, std=packed.STD, device=on)
    examples = contract.Examples(images, torch.from_numpy(labels), rows, rows[:0])
    outcome = loop.fit(network, examples, loop_settings(options), seed=seed)
    score = outcome.history[-1]["train_accuracy"]
    print(f"source: {len(array)} drawn images, training accuracy {score:.3f} at the end, {used} threads")
    values: dict[str, Tensor] = network.model.state_dict()
    return values


def _plan(backbone: str, size: int) -> build.Plan:
    options = {"dropout": 0.0}
    classes = synthetic.SOURCE_CLASSES
    return build.Plan(backbone=backbone, head="linear", classes=classes, image_size=size, head_options=options)


def loop_settings(options: Mapping[str, Any]) -> LoopSettings:
    """Return how a network is trained on drawn shapes: Adam with torch's own betas, down half a cosine to zero."""
    return LoopSettings(
        budget=Budget(unit="epochs", amount=options["epochs"]),
        batch_size=options["batch_size"],
        optimizer="adam",
        optimizer_options={"beta1": 0.9, "beta2": 0.999},
        lr=options["lr"],
        weight_decay=0.0,
        schedule="cosine",
        schedule_options={"final": 0.0},
        precision="fp32",
        feature_cache_mb=0,
    )


def draw(*, images: int, size: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the source domain on all cores: images uint8 (N, 3, S, S) and their class numbers (N,)."""
    labels = np.arange(images, dtype=np.int64) % synthetic.SOURCE_CLASSES
    one = partial(_draw_one, size=size, seed=seed)
    array = np.empty((images, 3, size, size), dtype=np.uint8)
    with mapped(one, list(enumerate(labels.tolist()))) as pictures:
        for number, image in enumerate(tqdm(pictures, "draw", len(labels), unit=" images", disable=None)):
            array[number] = image
    return array, labels


def _draw_one(numbered: tuple[int, int], *, size: int, seed: int) -> NDArray[np.uint8]:
    index, kind = numbered
    return np.asarray(synthetic.source_image(kind, index, size=size, seed=seed)).transpose(2, 0, 1)
