"""The numbers of charts as tables, for readers who cannot see these or want the values: pure."""

from collections.abc import Mapping, Sequence

from pipeline.core.records import Counted
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import aggregate, calibration, curves
from pipeline.reporting.curves import Curve
from pipeline.reporting.material import Material
from pipeline.reporting.signs import DASH, NO_BREAK
from pipeline.reporting.tables import Table

# A table of a long training has so many rows at most, at equal distances; metrics/curves.csv has all.
STEPS = 50


def beside(material: Material) -> dict[str, Table]:
    """Return a table for each chart whose numbers no table of the page has, by the chart's name."""
    repeats = material.repeats
    series, unit = curves.curves(repeats), curves.unit(repeats[0].record)
    return {
        "counts": counts(material.class_images),
        "loss": course(series, "loss", unit),
        "accuracy": course(series, "accuracy", unit),
        "stages": stages(repeats[0].record.stages, aggregate.trains(repeats)),
    }


def counts(images: Mapping[str, int]) -> Table:
    """Return the number of images of each class, the largest first."""
    ordered = sorted(images.items(), key=lambda one: (-one[1], one[0]))
    return Table(("class", "images"), [(name, f"{number:,}") for name, number in ordered], numbers_from=1)


def course(series: Mapping[str, Curve], quantity: str, unit: str) -> Table:
    """Return a curve's means, and its range where there are several repeats, over epochs or iterations.

    Args:
        series: by their names in history.csv.
        quantity: `loss`, or `accuracy`, which is put in percent.
        unit: `epoch` or `iteration`.
    """
    shown = {part: series[f"{part}_{quantity}"] for part in ("train", "val") if f"{part}_{quantity}" in series}
    named = {"train": "training", "val": "validation"}
    of = " (%)" if quantity == "accuracy" else ""
    longest = max(shown.values(), key=lambda curve: len(curve.epochs))
    step = -(-len(longest.epochs) // STEPS)
    # The last is always among them.
    places = range((len(longest.epochs) - 1) % step, len(longest.epochs), step)
    rows = [
        (f"{longest.steps(unit)[n]:,.0f}", *(_value(one, longest.epochs[n], quantity) for one in shown.values()))
        for n in places
    ]
    return Table((unit, *(f"{named[part]} {quantity}{of}" for part in shown)), rows, numbers_from=1)


def _value(curve: Curve, epoch: int, quantity: str) -> str:
    if epoch not in curve.epochs:
        return DASH
    place = curve.epochs.index(epoch)
    scale, form = (100, ".1f") if quantity == "accuracy" else (1, ".4g")
    mean, low, high = (scale * values[place] for values in (curve.mean, curve.low, curve.high))
    spread = f" ({low:{form}} to {high:{form}})" if len(curve.repeats) > 1 else ""
    return f"{mean:{form}}{spread}".replace(" ", NO_BREAK)


def stages(counted: Mapping[str, Counted], trains: str = "trains") -> Table:
    """Return how many numbers of each stage train, which is called `trains`, and how many are frozen."""
    rows = [(name, f"{one.trainable:,}", f"{one.frozen:,}") for name, one in counted.items()]
    return Table(("stage", trains, "frozen"), rows, numbers_from=1)


def reliability(repeats: Sequence[Repeat]) -> Table:
    """Return for each bin of confidence its number of predictions, their mean confidence and how many are right."""
    rows = [
        (
            f"{100 * one.low:.0f} to {100 * one.high:.0f}",
            f"{one.images:,}",
            f"{100 * one.confidence:.1f}",
            f"{100 * one.accuracy:.1f}",
        )
        for one in calibration.of(repeats)
    ]
    return Table(("confidence (%)", "predictions", "mean confidence (%)", "right (%)"), rows, numbers_from=1)
