"""Photographs with what the network says of them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.reporting.aggregate import Example
from pipeline.reporting.figures.drawing import LIGHT, Theme, drawing, save, shortened

ImageArray = npt.NDArray[np.uint8]
GALLERY_COLUMNS = 6


class Shown(NamedTuple):
    """A prediction with its image, (3, S, S) uint8 RGB."""

    example: Example
    image: ImageArray


def gallery(shown: Sequence[Shown], theme: Theme = LIGHT) -> bytes:
    """Images with "actual -> predicted confidence" below as PNG, six a row."""
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
    """What a gallery says of an image, on two lines.

    >>> print(caption(Example(1, "a/1.png", "wasp", "bee", 0.934)))
    wasp
    → bee 0.93
    """
    actual, predicted = shortened(example.actual, 22), shortened(example.predicted, 17)
    return f"{actual}\n→ {predicted} {example.confidence:.2f}"
