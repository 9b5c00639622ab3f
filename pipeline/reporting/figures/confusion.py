"""Which class is taken for which."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import PercentFormatter

from pipeline.reporting.aggregate import IntArray
from pipeline.reporting.figures.drawing import LIGHT, Theme, drawing, save, shortened, text_over, wrapped

NUMBERED_CLASSES = 20
NAMED_CLASSES = 40
# Degrees of names below their columns, and inches that a line of one takes.
SLANT, LINE = 40, 0.15


def confusion_matrix(matrix: IntArray, classes: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """Draw counts of (actual, predicted) as SVG, colored by the fraction of the row; an empty cell is blank.

    Up to 20 classes have their counts written, up to 40 all their names, and more every so many.
    """
    side = min(max(0.52 * len(classes), 2.4), 6.4)
    with drawing(theme, side + 2.2, side + 1.4) as (figure, out):
        axes = figure.add_subplot()
        parts = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        colors = LinearSegmentedColormap.from_list("part", [*_tint(theme), theme.full])
        image = axes.imshow(
            np.ma.masked_equal(parts, 0), cmap=colors, vmin=0, vmax=1, interpolation="none", aspect="equal"
        )
        _name_classes(axes, classes, cell=side / max(len(classes), 1))
        if len(classes) <= NUMBERED_CLASSES:
            _write_counts(axes, matrix, colors(parts))
        axes.set(xlabel="predicted class", ylabel="actual class")
        bar = figure.colorbar(image, ax=axes, label="part of the actual class (%)", shrink=0.7)
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        bar.outline.set_visible(False)
        save(figure, out, theme.form)
    return out.getvalue()


def _tint(theme: Theme) -> list[Any]:
    """Return the color of the rarest confusion: near the background, yet visible."""
    return [LinearSegmentedColormap.from_list("tint", [theme.paper, theme.full])(0.2)]


def _name_classes(axes: Axes, classes: Sequence[str], *, cell: float) -> None:
    """Write the names at both axes, below the columns at a slant where so many lines fit beside each other.

    Args:
        axes: of the matrix.
        classes: their names.
        cell: the side of a class's cell, in inches.
    """
    step = 1 if len(classes) <= NAMED_CLASSES else math.ceil(len(classes) / 25)
    places = range(0, len(classes), step)
    # Beside many neighbors there is room for one line.
    written = wrapped if len(classes) <= NUMBERED_CLASSES else shortened
    names = [written(classes[place]) for place in places]
    axes.set_yticks(places, names)
    axes.set_xticks(places, names)
    lines = max((name.count("\n") + 1 for name in names), default=1)
    slants = len(classes) <= NUMBERED_CLASSES and lines * LINE <= cell * math.sin(math.radians(SLANT))
    for label in axes.get_xticklabels():
        label.set(rotation_mode="anchor", va="center", ha="right", rotation=SLANT if slants else 90)
    axes.spines[:].set_visible(True)
    if len(classes) <= NAMED_CLASSES:
        axes.tick_params(length=0, pad=5)


def _write_counts(axes: Axes, matrix: IntArray, colors: npt.NDArray[np.float64]) -> None:
    """Write each count that is not zero, over its cell's color (N, N, 4)."""
    for row, column in np.argwhere(matrix):
        color = text_over(tuple(colors[row, column]))
        axes.text(column, row, f"{matrix[row, column]}", color=color, ha="center", va="center")
