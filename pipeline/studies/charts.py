"""The answer and the curves of all cells together, for light and for dark screens and in words."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from pipeline.reporting import curves, figures, pictures
from pipeline.reporting.curves import Curve
from pipeline.reporting.pictures import Picture
from pipeline.studies import dots
from pipeline.studies.dots import Dot
from pipeline.studies.results import Group, Result

QUANTITIES = {
    "train_accuracy": "training accuracy",
    "train_loss": "training loss (mean an image)",
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss (mean an image)",
}


def answer(group: Group) -> Picture:
    """Return the accuracy of each cell of a group with its interval, with the printed value."""
    rows = [_dot(one) for one in group.results]
    words = [f"{dot.cell} {100 * dot.mean:.2f} %{_between(dot)}" for dot in rows]
    alt = f"Test accuracy of each cell on {group.name}, with its 95 % interval: {'; '.join(words)}."
    return pictures.picture(partial(dots.accuracies, rows), alt)


def _dot(one: Result) -> Dot:
    summary = one.summary
    low, high = (summary.interval.low, summary.interval.high) if summary.interval else (math.nan, math.nan)
    # One scale for both would suggest that they can be compared.
    printed = one.printed.accuracy if one.printed and not one.elsewhere else None
    return Dot(
        cell=one.cell,
        mean=summary.mean,
        low=low,
        high=high,
        repeats=[repeat.scores.accuracy for repeat in one.repeats],
        printed=None if printed is None else printed / 100,
    )


def _between(dot: Dot) -> str:
    return "" if math.isnan(dot.low) else f" ({100 * dot.low:.2f} to {100 * dot.high:.2f})"


def charts(results: Sequence[Result]) -> dict[str, Picture]:
    """Return a chart for each recorded quantity, with a line a cell, the mean over its repeats.

    They are over iterations where some cell's budget is, since an epoch is not the same in all cells then.
    """
    there = [one for one in results if one.repeats]
    drawn = {one.cell: curves.curves(one.repeats) for one in there}
    unit = "iteration" if any(curves.unit(one.repeats[0].record) == "iteration" for one in there) else "epoch"
    by_quantity = {}
    for quantity, label in QUANTITIES.items():
        lines = {cell: of_cell[quantity] for cell, of_cell in drawn.items() if quantity in of_cell}
        if lines:
            draw = partial(figures.methods, lines, label, unit=unit, percent=quantity.endswith("accuracy"))
            by_quantity[quantity] = pictures.picture(draw, _alt(lines, label, quantity, unit))
    return by_quantity


def _alt(lines: Mapping[str, Curve], label: str, quantity: str, unit: str) -> str:
    scale = 100 if quantity.endswith("accuracy") else 1
    ends = ", ".join(
        f"{cell} {scale * curve.mean[-1]:.3g} after {unit} {curve.steps(unit)[-1]:,.0f}"
        for cell, curve in lines.items()
    )
    return f"Curves of {label} over the {unit}s, one line a cell: {ends}."
