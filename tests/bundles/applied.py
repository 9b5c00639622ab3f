"""Photographs of any kind, and a bundle that no training stands behind: the colors of an image are its classes."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import described
import numpy as np
import torch
from PIL import Image

from pipeline.assembly import bundling
from pipeline.bundles.bundle import Outputs
from pipeline.bundles.description import Description, Structure
from pipeline.networks.build import build, plan_of
from pipeline.training import checkpoints

COLORS = ("red", "green", "blue")
SIDE = 8
# Of the network of random weights.
INPUT = 96

# Names of files.
HOSTILE = {
    "a line": "two\nlines.jpg",
    "a return": "a\rb.jpg",
    "quotes": '"it\'s".jpg',
    "commas": "a,b;c.jpg",
    "a script": "<img src=x onerror=alert(1)>.jpg",
    "a formula": "=1+1.jpg",
    "an apostrophe": "'a.jpg",
    "letters": "Käfer 蜘蛛 🕷.jpg",
    "right to left": "\u202egpj.a",
    "no UTF-8": os.fsdecode(b"caf\xe9.jpg"),
    "a backslash": "a\\n.jpg",
}


def said(classes: Sequence[str] = COLORS, batch_size: int = 4) -> Description:
    """A description of it."""
    one = described.REPEAT
    return replace(
        one,
        classes=tuple(classes),
        preprocessing=replace(one.preprocessing, image_size=SIDE, crop_size=SIDE, input_size=SIDE),
        computation=replace(one.computation, batch_size=batch_size),
    )


class Colors(SimpleNamespace):
    """Stands for a loaded bundle: a class's score is the mean of its color, and each batch's size is noted."""

    def __init__(
        self, classes: Sequence[str] = COLORS, batch_size: int = 4, networks: int = 1, certainty: Any = None
    ) -> None:
        super().__init__(description=said(classes, batch_size), batches=[], networks=networks, certainty=certainty)

    def run(self, images: np.ndarray, *, batch_size: int) -> Outputs:
        assert 0 < len(images) <= batch_size
        self.batches.append(len(images))
        scores = images.mean(axis=(2, 3), dtype=np.float32) / 64
        return Outputs(np.stack([scores * (number + 1) for number in range(self.networks)]), scores)


def photograph(file: Path, color: Any = (250, 10, 20), **options: Any) -> Path:
    """Write an image of one color."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIDE, SIDE), color).save(file, options.pop("format", "PNG"), **options)
    return file


def untrained(folder: Path, classes: Sequence[str] = COLORS) -> Path:
    """Write a bundle of random weights, whose network every process knows."""
    options = {"attention": {}, "head": {"linear": {"dropout": 0.0}}}
    network = Structure(backbone="efficientnet_lite0", attention="none", head="linear", options=options)
    one = replace(said(classes), network=network)
    prepared = replace(one.preprocessing, image_size=INPUT, crop_size=INPUT, input_size=INPUT)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plan = plan_of(
            backbone=network.backbone,
            attention=network.attention,
            head=network.head,
            options=options,
            classes=len(classes),
            image_size=INPUT,
        )
        values = build(plan, pretrained=None).model.state_dict()
    folder.mkdir(parents=True)
    checkpoints.save(values, folder / one.members[0].file)
    bundling.seal(folder, replace(one, preprocessing=prepared))
    return folder
