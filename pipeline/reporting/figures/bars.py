"""Bars: how each class did, and what of a network trains."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, PercentFormatter

from pipeline.core.records import Counted
from pipeline.reporting.aggregate import ClassScore
from pipeline.reporting.figures.drawing import LIGHT, LINE, Theme, counts_locator, drawing, save, wrapped

SHOWN_BARS = 40
# Bars beyond which the axis below is out of sight from the first.
TALL = 20
# Inches of a row with a name of one line, for one bar and for two.
ONE_BAR, TWO_BARS = 0.26, 0.42


def _rows(names: Sequence[str], inches: float) -> tuple[npt.NDArray[Any], float]:
    """Return the middle of each row and the end of the last, in rows of so many inches; longer names have higher rows.

    Args:
        names: of one or more lines.
        inches: of a row whose name fits.
    """
    lines = np.array([name.count("\n") + 1 for name in names])
    heights = np.maximum(1.0, (lines * LINE + 0.08) / inches)
    ends = heights.cumsum()
    return ends - heights / 2, float(ends[-1])


def class_bars(scores: Sequence[ClassScore], theme: Theme = LIGHT) -> bytes:
    """Draw precision and recall of each class as SVG: bars of means, lines for the range over repeats.

    The best F1 is at the top; of more than 40 classes the 40 with the lowest are drawn. A class without a test image is
    left out.
    """
    judged = [one for one in scores if one.support]
    ordered = sorted(judged, key=lambda one: (-one.f1.mean, one.name))[-SHOWN_BARS:]
    names = [wrapped(one.name) for one in ordered]
    places, end = _rows(names, TWO_BARS)
    with drawing(theme, 5.0, 1.1 + TWO_BARS * end) as (figure, out):
        axes = figure.add_subplot()
        _bars(axes, places - 0.19, ordered, "precision", theme=theme)
        _bars(axes, places + 0.19, ordered, "recall", theme=theme)
        axes.set_yticks(places, names)
        axes.set(xlabel="%", xlim=(0, 1), ylim=(end + 0.1, -0.1))
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.tick_params(axis="x", top=len(ordered) > TALL, labeltop=len(ordered) > TALL)
        _write_support(axes, places, ordered)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()


def _bars(axes: Axes, places: npt.NDArray[Any], scores: Sequence[ClassScore], name: str, *, theme: Theme) -> None:
    spreads = [getattr(one, name) for one in scores]
    color = {"precision": theme.first, "recall": theme.second}[name]
    axes.barh(places, [one.mean for one in spreads], height=0.36, color=color, label=name)
    ranges = axes.hlines(
        places, [one.low for one in spreads], [one.high for one in spreads], color=theme.ink, linewidth=1
    )
    ranges.set_path_effects([withStroke(linewidth=2.4, foreground=theme.paper)])


def _write_support(axes: Axes, places: npt.NDArray[Any], scores: Sequence[ClassScore]) -> None:
    beside = axes.get_yaxis_transform()
    for place, one in zip(places, scores, strict=True):
        axes.text(1.02, place, f"n = {one.support}", transform=beside, va="center", fontsize="small")


def count_bars(counts: Mapping[str, int], theme: Theme = LIGHT) -> bytes:
    """Draw the number of images of each class, the largest first (`animals` paper, Figure 2).

    Of more than 40 classes the bars stand side by side without their names.

    Args:
        counts: images by class.
        theme: the colors.
    """
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    names, sizes = [wrapped(name) for name, _ in ordered], [size for _, size in ordered]
    named, (places, end) = len(ordered) <= SHOWN_BARS, _rows(names, ONE_BAR)
    with drawing(theme, 5.0, 0.7 + ONE_BAR * end if named else 2.6) as (figure, out):
        axes = figure.add_subplot()
        if named:
            axes.bar_label(axes.barh(places, sizes, height=0.7, color=theme.first), fmt="{:,.0f}", padding=4)
            axes.set_yticks(places, names)
            axes.set(xlabel="images", ylim=(end + 0.1, -0.1))
            axes.tick_params(axis="y", length=0)
            axes.margins(x=0.12)
            axes.xaxis.set_major_locator(counts_locator())
        else:
            # One shape: between bars a screen's pixels would leave seams.
            axes.stairs(sizes, fill=True, color=theme.first)
            axes.set(xlabel=f"{len(ordered):,} classes, the largest first", ylabel="images")
            axes.set_xticks([])
            axes.yaxis.set_major_locator(counts_locator())
        save(figure, out, theme.form)
    return out.getvalue()


def stage_bars(stages: Mapping[str, Counted], theme: Theme = LIGHT, *, trains: str = "trains") -> bytes:
    """Draw how many parameters of each stage train and how many are frozen, in the order in which they run.

    Args:
        stages: numbers by stage.
        theme: the colors.
        trains: what the first are called.
    """
    with drawing(theme, 5.0, 0.9 + 0.32 * len(stages)) as (figure, out):
        axes = figure.add_subplot()
        places = np.arange(len(stages))
        moving, frozen = zip(*((counted.trainable, counted.frozen) for counted in stages.values()), strict=True)
        axes.barh(places, moving, height=0.7, color=theme.first, label=trains)
        # Hatched: on a dark screen both colors are as light as each other.
        hatched: dict[str, Any] = {"facecolor": theme.muted, "hatch": "////", "edgecolor": theme.paper, "linewidth": 0}
        bars = axes.barh(places, frozen, left=moving, height=0.7, label="frozen", **hatched)
        axes.bar_label(bars, [f"{sum(both):,}" for both in zip(moving, frozen, strict=True)], padding=4)
        axes.set_yticks(places, list(stages))
        axes.set(xlabel="parameters and statistics of batch norms", ylim=(len(stages) - 0.4, -0.6))
        axes.margins(x=0.2)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()
