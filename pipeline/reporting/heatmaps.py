"""Grad-CAM of predicted classes, laid over the images as the network is shown them: a PNG an image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from pipeline.bundles.applying import Applied
from pipeline.bundles.bundle import Bundle
from pipeline.bundles.sorting import map_name
from pipeline.core import paths
from pipeline.evaluation import explanations
from pipeline.reporting.figures import overlay
from pipeline.training.images import Images


class Heatmaps:
    """A folder of maps, of the first network of a bundle.

    Args:
        loaded: the bundle.
        folder: where the PNGs are written, each named by its file's place among those that were given, which is its row
            of the table, and by its file; one of an earlier call is replaced.
    """

    def __init__(self, loaded: Bundle, folder: Path) -> None:
        self._loaded = loaded
        self._folder = folder
        self._rows = 0

    def write(self, some: Sequence[Applied]) -> list[Path]:
        """Write the maps of images that are held in memory; return where, in the order of those that can be used."""
        rows = enumerate(some, self._rows + 1)
        places = [self._folder / map_name(row, one.prediction.path) for row, one in rows]
        self._rows += len(some)
        pixels = [one.pixels for one in some if one.pixels is not None]
        if not pixels:
            return []
        labels = [one.prediction.label for one in some if one.pixels is not None]
        classes = [self._loaded.description.classes.index(label) for label in labels]
        files = [place for place, one in zip(places, some, strict=True) if one.pixels is not None]
        for file, image in zip(files, self._overlaid(np.stack(pixels), classes), strict=True):
            with paths.written_whole(file) as partial:
                Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(partial, "PNG")
        return files

    def _overlaid(self, pixels: npt.NDArray[np.uint8], classes: Sequence[int]) -> list[npt.NDArray[np.uint8]]:
        """Return images (n, 3, S, S) under the maps of these classes, as the network is shown them."""
        loaded, rows = self._loaded, torch.arange(len(pixels))
        prepared = loaded.description.preprocessing
        images = Images(
            pixels, rows, mean=prepared.mean, std=prepared.std, device=loaded.device, transform=loaded.transform
        )
        maps = explanations.class_activation(loaded.networks[0], images.batch(rows), classes)["grad_cam"]
        shown = loaded.transform.eval_transform(torch.from_numpy(pixels)).round().clamp(0, 255).to(torch.uint8)
        heat = explanations.scaled(maps)
        return [overlay(image, one) for image, one in zip(np.asarray(shown), heat, strict=True)]
