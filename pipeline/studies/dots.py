"""The answer of a study as a chart: each cell's accuracy with its interval, its repeats and the printed value."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipeline.reporting.figures import LIGHT, Theme, shortened
from pipeline.reporting.figures.drawing import drawing, save

# Of an axis of accuracies, and what is left free at both ends of the values, as a part of their range.
NARROWEST, MARGIN = 0.02, 0.06


class Dot(NamedTuple):
    """One cell, all values as parts of one.

    Attributes:
        cell: its name.
        mean: over its repeats.
        low: of the mean's 95 % interval; NaN where there is none.
        high: likewise.
        repeats: each repeat's accuracy.
        printed: what a paper printed; None where it did not.
    """

    cell: str
    mean: float
    low: float
    high: float
    repeats: Sequence[float]
    printed: float | None


def accuracies(dots: Sequence[Dot], theme: Theme = LIGHT) -> bytes:
    """Draw a row for each cell, in their order: mean, interval, and repeats where there are several.

    Args:
        dots: the cells, one or more.
        theme: the colors.
    """
    # Narrow, with names above their rows and not beside them, so that a phone shows it in a legible size.
    with drawing(theme, 5.2, 1.0 + 0.44 * len(dots)) as (figure, out):
        axes = figure.add_subplot()
        for place, dot in enumerate(dots):
            _row(axes, place, dot, theme)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set(xlabel="test accuracy (%)", xlim=limits(dots), ylim=(len(dots) - 0.6, -0.75))
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        axes.grid(axis="x")
        # One entry a kind of mark, however many rows have it.
        marks, names = axes.get_legend_handles_labels()
        kinds = dict(zip(reversed(names), reversed(marks), strict=True))
        figure.legend(kinds.values(), kinds, loc="outside upper center", ncols=len(kinds), frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()


def _row(axes: Axes, place: int, dot: Dot, theme: Theme) -> None:
    if not math.isnan(dot.low):
        axes.plot((dot.low, dot.high), (place, place), color=theme.first, linewidth=2, label="95 % interval")
    if len(dot.repeats) > 1:
        ticks = [place] * len(dot.repeats)
        axes.plot(dot.repeats, ticks, "|", color=theme.ink, markersize=9, alpha=0.6, label="a repeat")
    axes.plot(dot.mean, place, "o", color=theme.first, markersize=7, label="mean" if len(dot.repeats) > 1 else "value")
    if dot.printed is not None:
        (mark,) = axes.plot(dot.printed, place, "D", color=theme.second, label="printed", markersize=6)
        mark.set(markerfacecolor=theme.paper, markeredgewidth=1.5)
    above = axes.get_yaxis_transform()
    between = "" if math.isnan(dot.low) else f" ({_percent(dot.low)} to {_percent(dot.high)})"
    axes.text(0, place - 0.24, shortened(dot.cell, 40), transform=above, va="bottom")
    axes.text(1, place - 0.24, f"{_percent(dot.mean)}{between}", transform=above, va="bottom", ha="right")


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def limits(dots: Sequence[Dot]) -> tuple[float, float]:
    """Return the limits of the axis, within 0..1: all that is drawn, with a margin.

    >>> limits([Dot("a", 0.5, 0.4, 0.6, (0.5,), None)])
    (0.388, 0.612)
    """
    drawn = [value for dot in dots for value in (dot.mean, dot.low, dot.high, *dot.repeats, dot.printed)]
    values = [value for value in drawn if value is not None and not math.isnan(value)]
    low, high = min(values), max(values)
    margin = max(MARGIN * (high - low), (NARROWEST - (high - low)) / 2)
    return round(max(low - margin, -0.01), 6), round(min(high + margin, 1.01), 6)
