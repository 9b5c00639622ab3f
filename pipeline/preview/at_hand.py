"""Facts of an experiment before it runs: numbers of images, sample images, pre-trained weights."""

import json
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline.assembly.duration import PartSizes
from pipeline.assembly.transforms import eval_transform
from pipeline.config import Resolved
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.core.source_record import SourceRecord
from pipeline.datasets.collect import bringing, left_out, sets
from pipeline.datasets.decoding import images as decoding
from pipeline.datasets.prepared import manifest
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image
from pipeline.networks.backbones.table import backbone, known
from pipeline.pretrained import hub, weights
from pipeline.training import checkpoints
from pipeline.training.images import Images

# By which images the change of features is judged.
IMAGES = 4
# About how many of the user's own images are looked at for their sizes.
SAMPLE = 300
# What Pillow raises for damaged headers.
UNREADABLE = (OSError, EOFError, ValueError, SyntaxError, ArithmeticError, LookupError, RuntimeError)
# How source.json begins to say where weights are from.
ORIGINS = {"imagenet": "torchvision ", "places365": "Places365 ", "timm": "timm "}


def count_classes(resolved: Resolved) -> int:
    """Return how many classes the experiment's data has.

    Raises:
        InputError: for a folder that cannot tell.
    """
    row = sets.known(resolved.recipe.data.set)
    if row.classes:
        return row.classes
    try:
        layout = bringing.read_own(row, resolved.settings.place_of(row.given_by))
    except InputError as error:
        raise InputError(f"{error}; or say how many classes with --classes") from None
    return len({file.label for file in layout.files})


def part_sizes(resolved: Resolved, classes: int) -> PartSizes | None:
    """Return how many images train and validate: of the folder, drawn, collected or published; None if unknown."""
    counts = _counts(resolved)
    split = resolved.recipe.data.split
    if counts is None:
        return None
    drawn = {
        part: 0 if isinstance(split.per_class, str) else getattr(split.per_class, part) for part in ("train", "val")
    }
    if any(counts[part] for part in ("train", "test")):
        train, val = counts["train"], counts["val"]
    else:
        train, val = round(counts[""] * (1 - split.test)), 0
    if drawn["train"]:
        train, val = drawn["train"] * classes, drawn["val"] * classes
    if split.inner:
        train = round(train * (1 - split.test))
    if split.val and not val:
        val = round(train * split.val)
        train -= val
    return PartSizes(max(classes, round(train * split.train_fraction)), val)


def _counts(resolved: Resolved) -> Counter[str] | None:
    """Return the numbers of images by their part, "" for those of a set without parts."""
    recipe = resolved.recipe
    row = sets.known(recipe.data.set)
    if row.given_by == "folder":
        try:
            files = bringing.read_own(row, resolved.settings.place_of("folder")).files
        except InputError:
            return None
        # By their names: what is damaged shows only when it is decoded.
        return Counter(file.part for file in files if left_out.is_picture(file.file.name))
    if recipe.data.set == "synthetic":
        return Counter({"": recipe.options_of("data")["images_per_class"] * len(SPIDERS)})
    if rows := _collected(recipe.data.set):
        return Counter(one.part for one in rows)
    if row.counts.train:
        return Counter({"train": row.counts.train, "test": row.counts.test})
    return Counter({"": row.counts.images}) if row.counts.images else None


def shorter_side(resolved: Resolved) -> int | None:
    """Return the median of the photographs' shorter sides, in pixels, of a sample; None where no image is here yet.

    Files of the user's own folder are not decoded: their headers have the sizes.
    """
    recipe = resolved.recipe
    row = sets.known(recipe.data.set)
    if recipe.data.set == "synthetic":
        return int(recipe.options_of("data")["size"])
    if row.given_by == "folder":
        try:
            files = bringing.read_own(row, resolved.settings.place_of("folder")).files
        except InputError:
            return None
        sides = [side for file in files[:: len(files) // SAMPLE + 1] if (side := _shorter_side(file.file))]
    else:
        sides = [min(one.width, one.height) for one in _collected(recipe.data.set)]
    return round(median(sides)) if sides else None


def _shorter_side(file: Path) -> int:
    """Return the shorter side of an image by its header; 0 where it cannot be read, which the doctor says of it."""
    # A pipe would block.
    if not file.is_file():
        return 0
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file) as image:
            return min(image.size)
    except (*UNREADABLE, Image.DecompressionBombError):
        return 0


def _collected(name: str) -> list[manifest.Row]:
    """Return the rows of data/collected if it is whole and of this set."""
    try:
        digests.check(paths.MANIFEST, paths.DATASET)
        described = json.loads(paths.DATASET.read_text(encoding="utf-8"))
        return list(manifest.read(paths.MANIFEST, manifest.Row)) if described["set"] == name else []
    except (InputError, OSError, ValueError):
        return []


def some_images(recipe: Recipe) -> tuple[Tensor, str]:
    """Return a few images as the network is tested with them, (N, 3, I, I), and what they are."""
    size, data = recipe.data.image_size, recipe.data
    rows = _collected(recipe.data.set)
    chosen = [rows[place] for place in np.linspace(0, len(rows) - 1, IMAGES).astype(int)] if rows else []
    files = [paths.IMAGES / row.path for row in chosen]
    if files and all(file.is_file() for file in files):
        pictures, kind = (
            [decoding.load(file, at_least=decoding.DRAFT * size).image for file in files],
            "collected images",
        )
    else:
        pictures = [spider_image(number % len(SPIDERS), number, size=size, seed=0) for number in range(IMAGES)]
        kind = "drawn images"
    resized = [decoding.resized(one, size, data.resize, interpolation=data.interpolation) for one in pictures]
    array = np.stack([np.asarray(one).transpose(2, 0, 1) for one in resized])
    every = torch.arange(len(array))
    images = Images(
        array,
        every,
        mean=recipe.data.mean,
        std=recipe.data.std,
        device=torch.device("cpu"),
        transform=eval_transform(recipe.data.sizes),
    )
    return images.batch(every), kind


def pretrained(resolved: Resolved) -> Mapping[str, Tensor] | None:
    """Return the backbone's pre-trained values where they are on this machine; None where they are not.

    Raises:
        InputError: for a file that is damaged or of another backbone.
    """
    recipe, file = resolved.recipe, Path(resolved.settings.axes.weights_file)
    name = recipe.network.weights
    if name in ORIGINS:
        if stored := _stored(recipe):
            return stored
        if not _downloaded(recipe).is_file():
            return None
    if name == "file" and not file.is_file():
        return None
    return weights.fitting(weights.get(recipe, file), recipe.network.backbone)


def _stored(recipe: Recipe) -> dict[str, Tensor] | None:
    """Return the values in models/source if they are these."""
    if not paths.SOURCE_RECORD.is_file():
        return None
    record = SourceRecord.parse(digests.read(paths.SOURCE_RECORD), paths.SOURCE_RECORD)
    fits = record.backbone == recipe.network.backbone
    if not fits or not record.weights.origin.startswith(ORIGINS[recipe.network.weights]):
        return None
    digests.check(paths.SOURCE_WEIGHTS)
    return checkpoints.read(paths.SOURCE_WEIGHTS)


def _downloaded(recipe: Recipe) -> Path:
    """Return where a download of the weights is kept."""
    if recipe.network.weights == "timm":
        return hub.cached(known(recipe.network.backbone))
    name: Any = backbone(recipe.network.backbone).imagenet
    url = name.url if recipe.network.weights == "imagenet" else known(recipe.network.backbone).places365
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
