"""Which class is taken for which."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import PercentFormatter

from pipeline.core.text_width import columns
from pipeline.reporting.aggregate import IntArray
from pipeline.reporting.figures.drawing import LIGHT, LINE, LINES, Theme, drawing, save, text_over, wrapped

NUMBERED_CLASSES = 20
NAMED_CLASSES = 40
# Degrees of names below their columns, and inches that a letter of one takes.
SLANT, LETTER = 40, 0.075


def confusion_matrix(matrix: IntArray, classes: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """Draw counts of (actual, predicted) as SVG, colored by the fraction of the row; an empty cell is blank.

    Up to 20 classes have their counts written, up to 40 all their names, and more every so many.
    """
    side = min(max(0.52 * len(classes), 2.4), 6.4)
    cell = side / max(len(classes), 1)
    places = range(0, len(classes), 1 if len(classes) <= NAMED_CLASSES else math.ceil(len(classes) / 25))
    # Lines that fit into a cell; beside many neighbors there is room for one.
    lines = min(max(int(cell / LINE), 1), LINES) if len(classes) <= NUMBERED_CLASSES else 1
    names = [wrapped(classes[place], lines=lines) for place in places]
    # Room for the names, which would otherwise come off the cells.
    reach = max((columns(line) * LETTER for name in names for line in name.split("\n")), default=0.0)
    with drawing(theme, side + 1.3 + max(reach, 0.9), side + 0.6 + max(reach, 0.8)) as (figure, out):
        axes = figure.add_subplot()
        parts = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        colors = LinearSegmentedColormap.from_list("part", [*_tint(theme), theme.full])
        image = axes.imshow(
            np.ma.masked_equal(parts, 0), cmap=colors, vmin=0, vmax=1, interpolation="none", aspect="equal"
        )
        axes.set_yticks(places, names)
        axes.set_xticks(places, names)
        axes.spines[:].set_visible(True)
        if len(classes) <= NAMED_CLASSES:
            axes.tick_params(length=0, pad=5)
        _turn_names(axes, names, cell=cell if len(classes) <= NUMBERED_CLASSES else 0.0)
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


def _turn_names(axes: Axes, names: Sequence[str], *, cell: float) -> None:
    """Turn the names below the columns: at a slant where so many lines fit beside each other, else upright.

    Args:
        axes: of the matrix.
        names: of one or more lines.
        cell: the side of a class's cell, in inches; 0 for names that are upright in any case.
    """
    lines = max((name.count("\n") + 1 for name in names), default=1)
    slants = lines * LINE <= cell * math.sin(math.radians(SLANT))
    for label in axes.get_xticklabels():
        label.set(rotation_mode="anchor", va="center", ha="right", rotation=SLANT if slants else 90)
    if slants:
        # Half of the lines are above the middle, which is at the tick; in points.
        axes.tick_params(axis="x", pad=7 + 36 * (lines - 1) * LINE * math.cos(math.radians(SLANT)))


def _write_counts(axes: Axes, matrix: IntArray, colors: npt.NDArray[np.float64]) -> None:
    """Write each count that is not zero, over its cell's color (N, N, 4)."""
    for row, column in np.argwhere(matrix):
        color = text_over(tuple(colors[row, column]))
        axes.text(column, row, f"{matrix[row, column]}", color=color, ha="center", va="center")
