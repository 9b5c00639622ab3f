"""Grid of some training images, as packed and as augmented in the first epochs."""

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pipeline.assembly.transforms import train_transform
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.packed import Packed
from pipeline.training.images import Images

IMAGES, EPOCHS = 4, 5
# Side of a picture and gap between two pictures, in pixels.
SIDE, GAP = 128, 4


def augmented(recipe: Recipe, data: Packed, train: Tensor, *, repeat: int) -> bytes | None:
    """Draw one row per image: as packed, then as augmented in each of the first epochs.

    The random parameters are those of training, except with `train.sampler: weighted`: an image's then depend on its
    place in the epoch, and the grid has others of the same distribution.

    Args:
        recipe: the crop and the augmentation.
        data: the packed set.
        train: rows of the training images (n,); the grid has up to four at equal distances.
        repeat: number of the repeat, the seed of the random parameters.

    Returns:
        A PNG, the same bytes on every device; None if the train transform is not random.
    """
    transform = train_transform(recipe)
    if not transform.random_parameters:
        return None
    rows = train[torch.linspace(0, len(train) - 1, min(IMAGES, len(train))).long()]
    packed = torch.from_numpy(data.images[rows.numpy()])
    # On the CPU whatever trains: a GPU's last digits would give other bytes.
    cpu = torch.device("cpu")
    images = Images(data.images, rows, mean=data.mean, std=data.std, device=cpu, transform=transform)
    columns = [packed]
    for epoch in range(1, EPOCHS + 1):
        random_parameters = images.random_parameters(rows, seed=repeat, epoch=epoch)
        columns += [transform.train_transform(packed, random_parameters)] if random_parameters is not None else []
    return _png([[_pixels(image) for image in row] for row in zip(*columns, strict=True)])


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    """Return an image (3, S, S) in 0..255 as (S, S, 3)."""
    pixels: NDArray[np.uint8] = image.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return pixels


def _png(rows: list[list[NDArray[np.uint8]]]) -> bytes:
    """Return a PNG of square pictures of any side, row by row on a transparent background."""
    step = SIDE + GAP
    sheet = Image.new("RGBA", (step * len(rows[0]) - GAP, step * len(rows) - GAP))
    for down, row in enumerate(rows):
        for across, pixels in enumerate(row):
            # The pixels of smaller images stay visible.
            resampling = Image.Resampling.LANCZOS if len(pixels) > SIDE else Image.Resampling.NEAREST
            sheet.paste(Image.fromarray(pixels).resize((SIDE, SIDE), resampling), (step * across, step * down))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()
