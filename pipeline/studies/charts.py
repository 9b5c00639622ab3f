"""The curves of all cells together, for light and for dark screens and in words."""

from collections.abc import Mapping, Sequence
from functools import partial

from pipeline.reporting import curves, figures, pictures
from pipeline.reporting.curves import Curve
from pipeline.reporting.pictures import Picture
from pipeline.studies.results import Result

QUANTITIES = {
    "train_accuracy": "training accuracy",
    "train_loss": "training loss (mean an image)",
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss (mean an image)",
}


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
