"""Some training images as they are packed and as training varies them, on one sheet."""

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
# In pixels, of a picture's sides and between two of them.
SIDE, GAP = 128, 4


def augmented(recipe: Recipe, data: Packed, train: Tensor, *, repeat: int) -> bytes | None:
    """Draw a row an image: as it is packed, then as the first epochs show it.

    The draws are training's own, but where classes are drawn with replacement (`train.sampler: weighted`): there an
    image's depend on its place in the epoch, and these are others of the same kind.

    Args:
        recipe: whose crop and augmentation is shown.
        data: the packed set.
        train: rows of the training images; some from its beginning to its end are shown.
        repeat: its number, which seeds the draws.

    Returns:
        A PNG, the same bytes on every device; None where training shows images as testing does.
    """
    view = train_transform(recipe)
    if not view.random_parameters:
        return None
    rows = train[torch.linspace(0, len(train) - 1, min(IMAGES, len(train))).long()]
    packed = torch.from_numpy(data.images[rows.numpy()])
    cpu = torch.device("cpu")
    images = Images(data.images, rows, mean=data.mean, std=data.std, device=cpu, transform=view)
    columns = [packed]
    for epoch in range(1, EPOCHS + 1):
        random_parameters = images.random_parameters(rows, seed=repeat, epoch=epoch)
        columns += [view.train_transform(packed, random_parameters)] if random_parameters is not None else []
    return _png([[_pixels(image) for image in row] for row in zip(*columns, strict=True)])


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    """Return (3, S, S) in 0..255 as (S, S, 3)."""
    whole: NDArray[np.uint8] = image.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return whole


def _png(rows: list[list[NDArray[np.uint8]]]) -> bytes:
    """Return a PNG with rows of square pictures of any side on a transparent background."""
    step = SIDE + GAP
    paper = Image.new("RGBA", (step * len(rows[0]) - GAP, step * len(rows) - GAP))
    for down, row in enumerate(rows):
        for across, pixels in enumerate(row):
            # Smaller ones keep their pixels visible.
            how = Image.Resampling.LANCZOS if len(pixels) > SIDE else Image.Resampling.NEAREST
            paper.paste(Image.fromarray(pixels).resize((SIDE, SIDE), how), (step * across, step * down))
    out = io.BytesIO()
    paper.save(out, "PNG")
    return out.getvalue()
