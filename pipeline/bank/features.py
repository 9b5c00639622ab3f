"""Features of a frozen pre-trained network, once an image, whatever experiment asks: kept by the image's content.

A feature follows from the image's bytes, how it is packed, cropped and resized, the weights, the device and the code.
Neither the image's name, class or part nor the other images change a bit of it, so all sets share what is kept.
"""

import hashlib
import json
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pipeline.assembly import networks
from pipeline.assembly.machine import Machine, device_model
from pipeline.assembly.transforms import eval_transform
from pipeline.bank.folds import FloatArray
from pipeline.core import digests, provenance, result_cache
from pipeline.core.choices import NONE
from pipeline.core.sections import Network as Settings
from pipeline.core.sections import Sizes
from pipeline.datasets.prepared.packed import Packed
from pipeline.networks.backbones.table import BackboneRow, known
from pipeline.networks.build import build
from pipeline.networks.network import Network
from pipeline.training.images import Images
from pipeline.training.predict import scores_and_features

# Images a batch, whatever the recipe's: batches of another size change last digits.
BATCH = 32
# A head that gets one average a channel; what it computes is not used.
HEAD, CLASSES = "linear", 2
VALUES, KNOWN = "features.npy", "images.json"
# Images whose features are one file: so few images cost little, however many there are of the same network.
BLOCK = 1024

# Yields the packed set of images that are given by their places among those asked for, in that order.
OpenImages = Callable[[Sequence[int]], AbstractContextManager[Packed]]


class Frozen(NamedTuple):
    """A frozen network with all that its features follow from.

    Attributes:
        settings: its backbone; attention, head and freezing do not count.
        sizes: of the images.
        packing: how they were made as large as they are packed, where what names an image does not follow from it.
        values: the pre-trained ones.
        on: where it computes.
    """

    settings: Settings
    sizes: Sizes
    packing: str
    values: Mapping[str, Tensor]
    on: Machine

    @property
    def row(self) -> BackboneRow:
        """The backbone's row, which says how images are normalized for it."""
        return known(self.settings.backbone)

    def key(self) -> str:
        """Return the name under which its features are kept."""
        return result_cache.key(
            "features",
            {
                "backbone": self.settings.backbone,
                "weights": digest_of(self.values),
                "packing": self.packing,
                "sizes": list(self.sizes),
                "normalization": [self.row.mean, self.row.std],
                "device": [self.on.device.type, device_model(self.on.device), *self.on[1:]],
                "batch": BATCH,
                "versions": provenance.versions(),
                # Any change of code may change the features.
                "code": provenance.code_hash(),
            },
        )

    def network(self) -> Network:
        """Build it, without attention and in eval mode."""
        plain = self.settings.model_copy(update={"attention": NONE, "head": HEAD})
        options = {"attention": {}, "head": {HEAD: {"dropout": 0.0}}}
        plan = networks.plan_with(plain, options, classes=CLASSES, image_size=self.sizes.input)
        # The head's random values are not the caller's.
        with torch.random.fork_rng(devices=[]):
            return build(plan, pretrained=self.values).to(self.on.device).eval()


class Features(NamedTuple):
    """Features of images, and what they cost.

    Attributes:
        values: float32 (n, D).
        computed: how many of the n were computed now, the others having been kept.
        images_per_second: of the last time that some were computed, decoding left out.
    """

    values: FloatArray
    computed: int
    images_per_second: float


def digest_of(values: Mapping[str, Tensor]) -> str:
    """Return a digest of weights by name, the same for equal values whatever file they came in."""
    total = hashlib.sha256()
    for name, value in sorted(values.items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\0".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def features(frozen: Frozen, images: Sequence[str], open_images: OpenImages) -> Features:
    """Return the features of images, from the store as far as they are in it.

    Args:
        frozen: the network.
        images: the SHA-256 of each image's file or pixels; an image may be there twice.
        open_images: called once, with those to compute; not at all where none is.
    """
    with result_cache.held(frozen.key()) as place:
        kept, rate = _kept(place, images)
        if rows := _first_places(images, kept):
            with open_images(rows) as packed:
                computed, rate = compute(frozen, packed, torch.arange(len(rows)))
            new = [images[row] for row in rows]
            kept |= dict(zip(new, computed, strict=True))
            _keep(place, new, computed, rate)
    return Features(np.stack([kept[image] for image in images]), len(rows), rate)


def missing(frozen: Frozen, images: Sequence[str]) -> list[int]:
    """Return the places of images whose features are not in the store, as `features` would compute them."""
    with result_cache.held(frozen.key()) as place:
        return _first_places(images, _kept(place, images)[0])


def _first_places(images: Sequence[str], kept: Container[str]) -> list[int]:
    """Return where those that are not kept stand first, in order."""
    return sorted({image: row for row, image in reversed(list(enumerate(images))) if image not in kept}.values())


def compute(frozen: Frozen, packed: Packed, rows: Tensor) -> tuple[FloatArray, float]:
    """Return the features (n, D) of rows (n,) of a packed set, and images a second."""
    images = Images(
        packed.images,
        rows,
        mean=frozen.row.mean,
        std=frozen.row.std,
        device=frozen.on.device,
        transform=eval_transform(frozen.sizes),
    )
    network = frozen.network()
    started = time.perf_counter()
    with tqdm(total=len(rows), unit=" images", desc=frozen.settings.backbone, disable=None) as progress:
        values = scores_and_features(
            network,
            images,
            rows,
            batch_size=BATCH,
            precision=frozen.on.precision,
            on_batch=lambda: progress.update(min(BATCH, len(rows) - progress.n)),
        )[1]
    return values.numpy(), round(len(rows) / (time.perf_counter() - started), 2)


def _kept(place: Path, images: Sequence[str]) -> tuple[dict[str, FloatArray], float]:
    """Return the features of those of some images that are kept, and how fast the last of all were computed.

    Files of features that have none of them are not read.
    """
    asked, kept, rate = set(images), dict[str, FloatArray](), 0.0
    for block in _blocks(place):
        if not result_cache.is_whole(block, KNOWN):
            continue
        known: dict[str, Any] = json.loads(digests.read(block / KNOWN))
        rate = known["images_per_second"]
        rows = [row for row, image in enumerate(known["images"]) if image in asked]
        if rows and result_cache.is_whole(block, VALUES):
            values = np.load(block / VALUES, allow_pickle=False)[rows]
            kept |= zip((known["images"][row] for row in rows), values, strict=True)
    return kept, rate


def _keep(place: Path, images: Sequence[str], values: FloatArray, rate: float) -> None:
    number = max((int(block.name) for block in _blocks(place)), default=0)
    for start in range(0, len(images), BLOCK):
        number += 1
        with result_cache.written(place / f"{number:06d}") as target:
            np.save(target / VALUES, values[start : start + BLOCK])
            known = {"images_per_second": rate, "images": list(images[start : start + BLOCK])}
            (target / KNOWN).write_text(json.dumps(known) + "\n", encoding="utf-8")


def _blocks(place: Path) -> list[Path]:
    """Return the folders of features that were kept together, the oldest first."""
    return sorted(place.glob("[0-9]*"), key=lambda block: int(block.name))
