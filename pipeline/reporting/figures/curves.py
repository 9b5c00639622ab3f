"""Loss and accuracy over the epochs or iterations."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.typing import LineStyleType

from pipeline.reporting.curves import Curve
from pipeline.reporting.figures.drawing import LIGHT, Theme, drawing, save, wrapped

# Okabe and Ito's, which the color-blind tell apart, the light ones darker: by WCAG's ratio all are 3 to 1 or more from
# the paper of both themes. Where they are as light as each other, in gray, the lines differ.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#c8739f", "#b07a00", "#3f8fc2", "#8c8c8c")
LINES: tuple[LineStyleType, ...] = ("-", "--", ":", "-.", (0, (7, 1.5, 1, 1.5, 1, 1.5)), (0, (9, 3)))
NO_STARTS: Mapping[str, int] = MappingProxyType({})
# Two points of accuracy. A narrower axis would draw the noise of a constant curve as large as a trend.
NARROWEST = 0.02
MARGIN = 0.05


def loss_curves(
    curves: Mapping[str, Curve],
    theme: Theme = LIGHT,
    *,
    unit: str = "epoch",
    starts: Mapping[str, int] = NO_STARTS,
) -> bytes:
    """Draw loss as SVG: mean line and range over the repeats, training and validation.

    Args:
        curves: by their names in history.csv.
        theme: the colors.
        unit: what they are over, `epoch` or `iteration`.
        starts: with which of these each phase or half but the first begins, by its name; a line stands before each.
    """
    with drawing(theme, 4.8, 3.1) as (figure, out):
        axes = figure.add_subplot()
        _series(axes, curves, "loss", theme, unit)
        _mark_phases(axes, starts, theme)
        axes.set(xlabel=unit, ylabel="loss (mean an image)")
        begin_at_zero(axes)
        axes.legend(frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()


def accuracy_curves(
    curves: Mapping[str, Curve],
    test_accuracy: float,
    theme: Theme = LIGHT,
    *,
    unit: str = "epoch",
    starts: Mapping[str, int] = NO_STARTS,
) -> bytes:
    """Draw accuracy as SVG, with the test accuracy after the last epoch or iteration (0..1) as a line.

    The axis fits the values, see `accuracy_limits`.

    Args:
        curves: by their names in history.csv.
        test_accuracy: the mean over the repeats.
        theme: the colors.
        unit: as for `loss_curves`.
        starts: likewise.
    """
    with drawing(theme, 4.8, 3.1) as (figure, out):
        axes = figure.add_subplot()
        _series(axes, curves, "accuracy", theme, unit)
        _mark_phases(axes, starts, theme)
        axes.axhline(test_accuracy, color=theme.ink, linestyle=":", label="test")
        axes.set(xlabel=unit, ylabel="accuracy (%)")
        shown = [curve for name, curve in curves.items() if name.endswith("accuracy")]
        _fit_percent(axes, accuracy_limits(shown, test_accuracy))
        axes.legend(frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()


def begin_at_zero(axes: Axes) -> None:
    """Have the axis begin at 0, and leave room above the highest value: the margin is a part of the whole range."""
    if np.isfinite(axes.dataLim.get_points()).all():
        axes.update_datalim([(axes.dataLim.x0, 0.0)])
        axes.autoscale_view()
    axes.set_ylim(bottom=0)


def _series(axes: Axes, curves: Mapping[str, Curve], quantity: str, theme: Theme, unit: str) -> None:
    kinds = (("train", "training", theme.first, "-"), ("val", "validation", theme.second, "--"))
    for part, label, color, line in kinds:
        if curve := curves.get(f"{part}_{quantity}"):
            marker = "o" if len(curve.epochs) < 4 else ""
            axes.plot(curve.steps(unit), curve.mean, line, color=color, marker=marker, label=label)
            if len(curve.repeats) > 1:
                axes.fill_between(curve.steps(unit), curve.low, curve.high, color=color, alpha=0.25, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y")


def accuracy_limits(curves: Iterable[Curve], *others: float) -> tuple[float, float]:
    """Return the limits of an axis of accuracies, within 0..1: all values and ranges, with a margin.

    Args:
        curves: with their ranges over the repeats.
        others: further accuracies that are drawn.

    Returns:
        Lowest and highest, a margin of a twentieth of the values' range from them and at least `NARROWEST` apart.
    """
    values = [*others, *(value for curve in curves for value in (*curve.low, *curve.high))]
    low, high = min(values), max(values)
    span = min(max((1 + 2 * MARGIN) * (high - low), NARROWEST), 1.0)
    bottom = min(max((low + high - span) / 2, 0.0), 1.0 - span)
    return bottom, bottom + span


def _fit_percent(axes: Axes, limits: tuple[float, float]) -> None:
    """Set the limits of a vertical axis of parts of one and write its ticks as percent, all with as many digits."""
    low, high = limits
    locator = MaxNLocator(8, steps=[1, 2, 5, 10])
    # Half points are the finest ticks of the narrowest axis.
    first, second, *_ = locator.tick_values(low, high)
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if second - first > 0.009 else 1, symbol=None))
    # Above, room for a line's width: a line at 100 % is seen whole.
    axes.set_ylim(low, high + 0.03 * (high - low))


def _mark_phases(axes: Axes, starts: Mapping[str, int], theme: Theme) -> None:
    for phase, start in starts.items():
        # Between the last value of one phase and the first of the next.
        axes.axvline(start - 0.5, color=theme.ink, linewidth=0.7)
        above = axes.get_xaxis_transform()
        axes.text(start - 0.5, 1.01, phase, transform=above, ha="center", fontsize="small")


def methods(
    curves: Mapping[str, Curve], quantity: str, theme: Theme = LIGHT, *, unit: str = "epoch", percent: bool = True
) -> bytes:
    """Draw one curve of each of several trainings together (spa_gca Figure 2): mean lines, and ranges over the repeats.

    Args:
        curves: by what the legend calls them; each differs from the next in color and line, and 42 from each other.
        quantity: what the values are.
        theme: the colors.
        unit: as for `loss_curves`.
        percent: whether the values are parts of one, to be shown in percent on an axis that fits them, see
            `accuracy_limits`; all others are on an axis from zero.
    """
    with drawing(theme, 6.4, 3.9) as (figure, out):
        axes = figure.add_subplot()
        for place, (name, curve) in enumerate(curves.items()):
            color = COLORS[place % len(COLORS)]
            line = LINES[place % len(LINES)]
            marker = "o" if len(curve.epochs) < 4 else ""
            axes.plot(curve.steps(unit), curve.mean, linestyle=line, color=color, marker=marker, label=wrapped(name))
            if len(curve.repeats) > 1:
                axes.fill_between(curve.steps(unit), curve.low, curve.high, color=color, alpha=0.15, linewidth=0)
        axes.set(xlabel=unit, ylabel=f"{quantity} (%)" if percent else quantity)
        if percent:
            _fit_percent(axes, accuracy_limits(curves.values()))
        else:
            begin_at_zero(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y")
        figure.legend(loc="outside right upper", frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()
