"""Whether confidence can be believed."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from pipeline.evaluation.predictions import BINS, Bin
from pipeline.reporting.figures.drawing import LIGHT, Theme, counts_locator, drawing, save

# Of a bar: nearly a bin's.
WIDTH = 1 / BINS * 0.92


def reliability_diagram(bins: Sequence[Bin], theme: Theme = LIGHT) -> bytes:
    """Draw how often predictions of each confidence are right, with the line where both agree, and their numbers.

    Args:
        bins: those that hold predictions, see `predictions.reliability`.
        theme: the colors.
    """
    return reliability_diagrams({"": bins}, theme)


def reliability_diagrams(panels: Mapping[str, Sequence[Bin]], theme: Theme = LIGHT) -> bytes:
    """Draw several reliability diagrams of the same images side by side.

    Args:
        panels: the bins of each by its title, see `reliability_diagram`.
        theme: the colors.
    """
    width = 4.8 if len(panels) == 1 else 3.4 * len(panels)
    with drawing(theme, width, 4.2) as (figure, out):
        grid = figure.subplots(2, len(panels), sharex=True, sharey="row", height_ratios=(3, 1), squeeze=False)
        for (title, bins), above, below in zip(panels.items(), *grid, strict=True):
            _reliability(above, below, bins, theme)
            above.set_title(title, fontsize="medium")
        grid[0][0].set_ylabel("right (%)")
        grid[1][0].set_ylabel("predictions")
        handles, names = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()


def _reliability(above: Axes, below: Axes, bins: Sequence[Bin], theme: Theme) -> None:
    above.plot([0, 1], [0, 1], ":", color=theme.ink, label="as sure as right")
    middles = [(one.low + one.high) / 2 for one in bins]
    # The edges stand out from the paper where the light bars do not, and those of the points from the bars.
    light: dict[str, Any] = {"facecolor": (theme.first, 0.5), "edgecolor": theme.first}
    above.bar(middles, [one.accuracy for one in bins], WIDTH, label="right", **light)
    above.plot(
        [one.confidence for one in bins],
        [one.accuracy for one in bins],
        "o",
        color=theme.second,
        markeredgecolor=theme.ink,
        label="right, at the mean confidence",
    )
    above.set(ylim=(0, 1.03), xlim=(0, 1))
    above.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
    bars = below.bar(middles, [one.images for one in bins], WIDTH, color=theme.first)
    below.bar_label(bars, [f"{one.images:,}" for one in bins], fontsize="x-small", padding=1)
    below.set(xlabel="confidence (%)")
    below.margins(y=0.3)
    below.yaxis.set_major_locator(counts_locator(4))
    below.xaxis.set_major_formatter(PercentFormatter(1, symbol=None))
