"""The curves of all cells together, for light and for dark screens and in words."""

from collections.abc import Mapping, Sequence
from functools import partial

from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipeline.reporting import aggregate
from pipeline.reporting.aggregate import Curve
from pipeline.reporting.figures.drawing import DARK, LIGHT, Theme, drawing, save, shortened
from pipeline.reporting.pictures import Picture
from pipeline.studies.results import Result

# Okabe and Ito's, which the colour-blind tell apart; further cells have the same with another line.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
LINES = ("-", "--", ":", "-.")
QUANTITIES = {
    "train_accuracy": "training accuracy (%)",
    "train_loss": "training loss (mean an image)",
    "val_accuracy": "validation accuracy (%)",
    "val_loss": "validation loss (mean an image)",
}


def charts(results: Sequence[Result]) -> dict[str, Picture]:
    """For each quantity that was recorded a chart with one line a cell, the mean over its repeats."""
    curves = {one.cell: aggregate.curves(one.repeats) for one in results if one.repeats}
    found = {}
    for quantity, label in QUANTITIES.items():
        lines = {cell: of_cell[quantity] for cell, of_cell in curves.items() if quantity in of_cell}
        if lines:
            draw = partial(_draw, lines, label)
            found[quantity] = Picture(draw(LIGHT), draw(DARK), _alt(lines, label, quantity))
    return found


def _draw(lines: Mapping[str, Curve], label: str, theme: Theme) -> bytes:
    with drawing(theme, 5.4, 3.3) as (figure, out):
        axes = figure.add_subplot()
        for place, (cell, curve) in enumerate(lines.items()):
            style = LINES[place // len(COLOURS) % len(LINES)]
            marker = "o" if len(curve.epochs) < 4 else ""
            colour = COLOURS[place % len(COLOURS)]
            axes.plot(curve.epochs, curve.mean, style, color=colour, marker=marker, label=shortened(cell))
            if len(curve.repeats) > 1:
                axes.fill_between(curve.epochs, curve.low, curve.high, color=colour, alpha=0.12, linewidth=0)
        axes.set(xlabel="epoch", ylabel=label)
        if "%" in label:
            axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
            axes.set_ylim(0, 1.03)
        else:
            axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y")
        figure.legend(loc="outside right upper", frameon=False)
        save(figure, out, "svg")
    return out.getvalue()


def _alt(lines: Mapping[str, Curve], label: str, quantity: str) -> str:
    scale = 100 if quantity.endswith("accuracy") else 1
    ends = ", ".join(
        f"{cell} {scale * curve.mean[-1]:.3g} after epoch {curve.epochs[-1]}" for cell, curve in lines.items()
    )
    return f"Curves of {label} over the epochs, one line a cell: {ends}."
