"""Photographs with what the network says of them."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.typing import ColorType
from PIL import Image

from pipeline.reporting.examples import Example
from pipeline.reporting.figures.drawing import LIGHT, Theme, drawing, save, wrapped

ImageArray = npt.NDArray[np.uint8]
GALLERY_COLUMNS = 6
# Side of a feature map in its figure, and the distance of two, in pixels.
TILE, GAP = 168, 14


class Shown(NamedTuple):
    """A prediction with its image, (3, S, S) uint8 RGB."""

    example: Example
    image: ImageArray


def image_grid(shown: Sequence[Shown], theme: Theme = LIGHT) -> bytes:
    """Draw images with "actual -> predicted confidence" below as PNG, six a row."""
    rows = max(math.ceil(len(shown) / GALLERY_COLUMNS), 1)
    with drawing(theme, 1.75 * GALLERY_COLUMNS, 2.3 * rows) as (figure, out):
        for place, one in enumerate(shown, start=1):
            axes = figure.add_subplot(rows, GALLERY_COLUMNS, place)
            axes.imshow(one.image.transpose(1, 2, 0))
            axes.set_axis_off()
            axes.set_title(caption(one.example), y=0, va="top", pad=-4, fontsize="small")
        save(figure, out, "png")
    return out.getvalue()


def caption(example: Example) -> str:
    """Return the caption of an image: the actual class, and below it the predicted one with its confidence.

    >>> print(caption(Example(1, "a/1.png", "wasp", "bee", 0.934)))
    wasp
    → bee 0.93
    """
    actual, predicted = wrapped(example.actual, 22), wrapped(example.predicted, 17)
    return f"{actual}\n→ {predicted} {example.confidence:.2f}"


def middle(image: ImageArray, side: int) -> ImageArray:
    """Return the central square of this side of an image (3, S, S), as in testing."""
    # Half to even, as torchvision's center_crop rounds.
    start = max(0, round((image.shape[1] - side) / 2))
    return image[:, start : start + side, start : start + side]


def overlay(image: ImageArray, heatmap: ImageArray) -> ImageArray:
    """Return an image (3, S, S) in gray under a map (h, w) of 0..255, from dark to bright.

    The map is stretched to the image's size, so that a coarse one looks smooth.
    """
    stretched = Image.fromarray(heatmap).resize(image.shape[:0:-1], Image.Resampling.BILINEAR)
    colors = colormaps["inferno"](np.asarray(stretched))[..., :3].transpose(2, 0, 1)
    gray = image.mean(axis=0, keepdims=True) / 255
    return np.asarray(np.rint(255 * (0.45 * gray + 0.55 * colors)), dtype=np.uint8)


def explained(rows: Sequence[tuple[Shown, Mapping[str, ImageArray]]], theme: Theme = LIGHT) -> bytes:
    """Draw a row an image as PNG: the image, then each map laid over it, under its name.

    Args:
        rows: images with their overlays (3, S, S) by name; a map that an image has not is left blank.
        theme: the colors.
    """
    names = list(dict.fromkeys(name for _, overlays in rows for name in overlays))
    with drawing(theme, 1.75 * (len(names) + 1), 2.05 * len(rows) + 0.3) as (figure, out):
        panels = figure.subplots(len(rows), len(names) + 1, squeeze=False)
        for row, ((shown, overlays), (first, *others)) in enumerate(zip(rows, panels, strict=True)):
            _image(first, shown.image, below=caption(shown.example))
            for name, axes in zip(names, others, strict=True):
                _image(axes, overlays.get(name), above=name if row == 0 else "")
        save(figure, out, "png")
    return out.getvalue()


def _image(axes: Axes, image: ImageArray | None, *, above: str = "", below: str = "") -> None:
    axes.set_axis_off()
    if image is not None:
        axes.imshow(image.transpose(1, 2, 0))
    if below:
        axes.set_title(below, y=0, va="top", pad=-4, fontsize="small")
    if above:
        axes.set_title(above.replace(", ", ",\n"), fontsize="small")


def feature_maps(
    image: ImageArray, stages: Mapping[str, ImageArray], places: Mapping[str, str], theme: Theme = LIGHT
) -> bytes:
    """Draw feature maps by depth as PNG: a column a stage, the mean over the channels first and single channels below.

    Args:
        image: (3, S, S).
        stages: by stage (1 + k, h, w) maps of 0..255.
        places: a word on each stage, such as its resolution.
        theme: the colors.

    Source:
        ECSM Figure 10.
    """
    count = len(next(iter(stages.values())))
    columns = [np.asarray(Image.fromarray(image.transpose(1, 2, 0)).resize((TILE, TILE)))[None]]
    columns += [np.stack([_tile(one) for one in maps]) for maps in stages.values()]
    with drawing(theme, 1.3 * len(columns), 1.35 * count) as (figure, out):
        axes = figure.subplots()
        axes.imshow(_mosaic(columns, count, theme.paper))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize="small", top=True, labeltop=True, labelbottom=False)
        axes.yaxis.tick_right()
        centers = [place * (TILE + GAP) + TILE / 2 for place in range(max(len(columns), count))]
        axes.set_xticks(
            centers[: len(columns)],
            ["image", *(f"{stage}\n{places[stage]}" for stage in stages)],
        )
        axes.set_yticks(centers[:count], ["mean", *(f"channel {number}" for number in range(1, count))])
        save(figure, out, "png")
    return out.getvalue()


def _tile(one: ImageArray) -> ImageArray:
    """Return a map (h, w) in color, each value a rectangle: (TILE, TILE, 3)."""
    large = Image.fromarray(one).resize((TILE, TILE), Image.Resampling.NEAREST)
    return np.asarray(np.rint(255 * colormaps["viridis"](np.asarray(large))[..., :3]), dtype=np.uint8)


def _mosaic(columns: Sequence[ImageArray], rows: int, paper: ColorType) -> ImageArray:
    """Return columns of tiles (n, TILE, TILE, 3) beside each other, gaps and what is missing in the paper's color."""
    step = TILE + GAP
    mosaic = np.empty((rows * step - GAP, len(columns) * step - GAP, 3), dtype=np.uint8)
    mosaic[:] = np.rint(255 * np.array(to_rgb(paper)))
    for column, tiles in enumerate(columns):
        for row, tile in enumerate(tiles):
            mosaic[row * step : row * step + TILE, column * step : column * step + TILE] = tile
    return mosaic
