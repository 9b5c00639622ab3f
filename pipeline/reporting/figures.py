"""Figures as bytes, the same for the same input: SVG for charts, PNG for photographs.

Every figure is drawn on matplotlib's objects without pyplot, so nothing global stays behind. A theme gives it
the colours of a light or a dark screen. Text stays text in an SVG: a reader's own fonts write the names that
matplotlib's font has no letters for.
"""

import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple
from unicodedata import category

import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipeline.reporting.aggregate import ClassScore, Curve, Example, IntArray

ImageArray = npt.NDArray[np.uint8]

NUMBERED_CLASSES = 20
NAMED_CLASSES = 40
SHOWN_BARS = 40
GALLERY_COLUMNS = 6
NOT_IN_XML = frozenset({"Cc", "Cs"})
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
NO_STARTS: Mapping[str, Sequence[int]] = MappingProxyType({})


class Theme(NamedTuple):
    """Colours of a figure; the two series are Okabe and Ito's, which the colour-blind tell apart."""

    paper: str
    ink: str
    faint: str
    first: str
    second: str


LIGHT = Theme(paper="#ffffff", ink="#1c2128", faint="#d5dae1", first="#0072b2", second="#d55e00")
DARK = Theme(paper="#171b21", ink="#e4e7eb", faint="#3b434e", first="#56b4e9", second="#e69f00")


class Shown(NamedTuple):
    """A prediction with its image, (3, S, S) uint8 RGB."""

    example: Example
    image: ImageArray


def loss_curves(
    curves: Mapping[str, Curve], theme: Theme = LIGHT, *, starts: Mapping[str, Sequence[int]] = NO_STARTS
) -> bytes:
    """Loss over the epochs as SVG: mean line and range over the repeats, training and validation.

    Args:
        curves: by their names in history.csv.
        theme: the colours.
        starts: with which epoch each phase or half but the first begins, by its name; a line stands before each.
    """
    with _drawing(theme, 4.8, 3.1) as (figure, out):
        axes = figure.add_subplot()
        _series(axes, curves, "loss", theme)
        _mark_phases(axes, starts, theme)
        axes.set(xlabel="epoch", ylabel="loss (mean an image)")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
        _save(figure, out, "svg")
    return out.getvalue()


def accuracy_curves(
    curves: Mapping[str, Curve],
    test_accuracy: float,
    theme: Theme = LIGHT,
    *,
    starts: Mapping[str, Sequence[int]] = NO_STARTS,
) -> bytes:
    """Accuracy over the epochs as SVG, with the test part's after the last epoch (0..1) as a line.

    Args:
        curves: by their names in history.csv.
        test_accuracy: the mean over the repeats.
        theme: the colours.
        starts: as for `loss_curves`.
    """
    with _drawing(theme, 4.8, 3.1) as (figure, out):
        axes = figure.add_subplot()
        _series(axes, curves, "accuracy", theme)
        _mark_phases(axes, starts, theme)
        axes.axhline(test_accuracy, color=theme.ink, linestyle=":", label="test, after the last epoch")
        axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 1.03))
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        axes.legend(frameon=False, loc="lower right")
        _save(figure, out, "svg")
    return out.getvalue()


def _series(axes: Axes, curves: Mapping[str, Curve], quantity: str, theme: Theme) -> None:
    kinds = (("train", "training", theme.first, "-"), ("val", "validation", theme.second, "--"))
    for part, label, color, line in kinds:
        if curve := curves.get(f"{part}_{quantity}"):
            marker = "o" if len(curve.epochs) < 4 else ""
            axes.plot(curve.epochs, curve.mean, line, color=color, marker=marker, label=label)
            if len(curve.repeats) > 1:
                axes.fill_between(curve.epochs, curve.low, curve.high, color=color, alpha=0.25, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y")


def _mark_phases(axes: Axes, starts: Mapping[str, Sequence[int]], theme: Theme) -> None:
    for phase, epochs in starts.items():
        # Half an epoch before: between the last value of one phase and the first of the next.
        for epoch in epochs:
            axes.axvline(epoch - 0.5, color=theme.ink, linewidth=0.7)
        above = axes.get_xaxis_transform()
        axes.text(epochs[0] - 0.5, 1.01, phase, transform=above, ha="center", fontsize="small")


def confusion_matrix(matrix: IntArray, classes: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """Counts of (actual, predicted) as SVG, each row's colour by its part of the row; an empty cell is blank.

    Up to 20 classes have their counts written, up to 40 all their names, and more every so many.
    """
    side = min(max(0.52 * len(classes), 2.4), 6.4)
    with _drawing(theme, side + 2.2, side + 1.4) as (figure, out):
        axes = figure.add_subplot()
        parts = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        colours = LinearSegmentedColormap.from_list("part", [*_tint(theme), theme.first])
        image = axes.imshow(
            np.ma.masked_equal(parts, 0), cmap=colours, vmin=0, vmax=1, interpolation="none", aspect="equal"
        )
        _name_classes(axes, classes)
        if len(classes) <= NUMBERED_CLASSES:
            _write_counts(axes, matrix, parts, theme)
        axes.set(xlabel="predicted class", ylabel="actual class")
        bar = figure.colorbar(image, ax=axes, label="part of the actual class (%)", shrink=0.7)
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        bar.outline.set_visible(False)
        _save(figure, out, "svg")
    return out.getvalue()


def _tint(theme: Theme) -> list[Any]:
    """The colour of the rarest confusion: near the paper, yet seen."""
    return [LinearSegmentedColormap.from_list("tint", [theme.paper, theme.first])(0.2)]


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    step = 1 if len(classes) <= NAMED_CLASSES else math.ceil(len(classes) / 25)
    places = range(0, len(classes), step)
    names = [shortened(classes[place]) for place in places]
    axes.set_yticks(places, names)
    axes.set_xticks(places, names)
    turn = {"rotation": 90} if len(classes) > NUMBERED_CLASSES else {"rotation": 40, "ha": "right"}
    for label in axes.get_xticklabels():
        label.set(rotation_mode="anchor", va="center", **({"ha": "right"} | turn))
    axes.spines[:].set_visible(True)
    if len(classes) <= NAMED_CLASSES:
        axes.tick_params(length=0, pad=5)


def _write_counts(axes: Axes, matrix: IntArray, parts: npt.NDArray[np.float64], theme: Theme) -> None:
    for row, column in np.argwhere(matrix):
        color = theme.paper if parts[row, column] > 0.5 else theme.ink
        axes.text(column, row, f"{matrix[row, column]}", color=color, ha="center", va="center")


def class_bars(scores: Sequence[ClassScore], theme: Theme = LIGHT) -> bytes:
    """Precision and recall of each class as SVG: bars of means, lines for the range over repeats.

    The best F1 is at the top; of more than 40 classes the 40 with the lowest are drawn.
    """
    ordered = sorted(scores, key=lambda one: (-one.f1.mean, one.name))[-SHOWN_BARS:]
    with _drawing(theme, 5.0, 1.1 + 0.42 * len(ordered)) as (figure, out):
        axes = figure.add_subplot()
        places = np.arange(len(ordered))
        _bars(axes, places - 0.19, ordered, "precision", theme=theme)
        _bars(axes, places + 0.19, ordered, "recall", theme=theme)
        axes.set_yticks(places, [shortened(one.name) for one in ordered])
        axes.set(xlabel="%", xlim=(0, 1), ylim=(len(ordered) - 0.4, -0.6))
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        _write_support(axes, ordered)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        _save(figure, out, "svg")
    return out.getvalue()


def _bars(axes: Axes, places: npt.NDArray[Any], scores: Sequence[ClassScore], name: str, *, theme: Theme) -> None:
    spreads = [getattr(one, name) for one in scores]
    color = {"precision": theme.first, "recall": theme.second}[name]
    axes.barh(places, [one.mean for one in spreads], height=0.36, color=color, label=name)
    ranges = axes.hlines(
        places, [one.low for one in spreads], [one.high for one in spreads], color=theme.ink, linewidth=1
    )
    ranges.set_path_effects([withStroke(linewidth=2.4, foreground=theme.paper)])


def _write_support(axes: Axes, scores: Sequence[ClassScore]) -> None:
    beside = axes.get_yaxis_transform()
    for place, one in enumerate(scores):
        axes.text(1.02, place, f"n = {one.support}", transform=beside, va="center", fontsize="small")


def gallery(shown: Sequence[Shown], theme: Theme = LIGHT) -> bytes:
    """Images with "actual -> predicted confidence" below as PNG, six a row."""
    rows = max(math.ceil(len(shown) / GALLERY_COLUMNS), 1)
    with _drawing(theme, 1.75 * GALLERY_COLUMNS, 2.3 * rows) as (figure, out):
        for place, one in enumerate(shown, start=1):
            axes = figure.add_subplot(rows, GALLERY_COLUMNS, place)
            axes.imshow(one.image.transpose(1, 2, 0))
            axes.set_axis_off()
            axes.set_title(caption(one.example), y=0, va="top", pad=-4, fontsize="small")
        _save(figure, out, "png")
    return out.getvalue()


def caption(example: Example) -> str:
    """What a gallery says of an image, on two lines.

    >>> print(caption(Example(1, "a/1.png", "wasp", "bee", 0.934)))
    wasp
    → bee 0.93
    """
    actual, predicted = shortened(example.actual, 22), shortened(example.predicted, 17)
    return f"{actual}\n→ {predicted} {example.confidence:.2f}"


def shortened(name: str, limit: int = 26) -> str:
    """A name on one line, without what XML cannot hold, and without its middle where it is too long.

    >>> shortened("Trichonephila clavata (female)", 20)
    'Trichoneph… (female)'
    """
    line = "".join(REPLACEMENT if category(sign) in NOT_IN_XML else sign for sign in " ".join(name.split()))
    if len(line) <= limit:
        return line
    return f"{line[: limit // 2]}…{line[-(limit // 2) + 1 :]}"


@contextmanager
def _drawing(theme: Theme, width: float, height: float) -> Iterator[tuple[Figure, io.BytesIO]]:
    """A figure of so many inches with matplotlib's own settings, not the user's, and literal names."""
    settings = {
        "svg.hashsalt": "orbweaver",
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": theme.faint,
        "grid.linewidth": 0.6,
        "axes.edgecolor": theme.ink,
        "lines.markersize": 4,
    }
    settings |= dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.ink)
    settings |= dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), theme.paper)
    with style.context(["default", settings]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield Figure(figsize=(width, height), layout="constrained"), io.BytesIO()


def _save(figure: Figure, out: io.BytesIO, kind: str) -> None:
    undated = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    figure.savefig(
        out, format=kind, metadata=undated[kind], bbox_inches="tight", dpi=150 if kind == "png" else "figure"
    )
