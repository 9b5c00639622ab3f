"""A study's results as tables, ours and the printed ones."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.evaluation.compare import power
from pipeline.evaluation.compare.experiments import Pair
from pipeline.evaluation.compare.statistics import Interval
from pipeline.reporting import aggregate, confidence_intervals, curves
from pipeline.reporting.signs import DASH
from pipeline.reporting.tables import Table, deviation, three_figures
from pipeline.studies.definition import Printed, PrintedClass
from pipeline.studies.results import Result

MISSING = "missing"
CELL = "cell"
SIZE = "image size"
ACCURACY = "accuracy (%)"
SECONDS = "training (s)"
# The frozen probe's accuracy, and a cell's gain over it.
BESIDE_PROBE = ("frozen probe (%)", "gain over the probe (points)")
SMALLEST = ("smallest detectable (points)", f"repeats to detect {100 * power.ASKED:.0f} points")
# Columns of ours that every study has.
ALWAYS = (ACCURACY, "n", "95 % interval", SECONDS, "trainable")
# Columns of ours that are shown only with a printed one.
BESIDE = {
    "frozen": "frozen, printed",
    "total (M)": "total, printed (M)",
    "test loss": "loss, printed",
    "validation loss": "loss, printed",
}


def results(members: Sequence[Result]) -> Table:
    """Return accuracy, loss, time and parameters of each cell, each with the printed value.

    Columns that are empty in all cells are left out, such as those that no paper printed, and ours without a printed
    one, except accuracy, time and trainable parameters; so is the size of images that is the same in all cells.
    """
    of_each = [_row(one) for one in members]
    columns = {name: [row[name] for row in of_each] for name in of_each[0]}
    if len(set(columns[SIZE]) - {MISSING}) < 2:
        del columns[SIZE]
    filled = {name: cells for name, cells in columns.items() if set(cells) - {DASH, MISSING} or name in ALWAYS}
    filled = {name: cells for name, cells in filled.items() if BESIDE.get(name, name) in filled}
    rows = [tuple(column[place] for column in filled.values()) for place in range(len(members))]
    return Table(tuple(filled), rows, numbers_from=1)


def _row(one: Result) -> dict[str, str]:
    printed = one.printed or Printed()
    ours = _ours(one) if one.repeats else defaultdict(lambda: MISSING)
    return {
        CELL: one.cell,
        SIZE: ours["size"],
        ACCURACY: ours["accuracy"],
        "n": ours["n"],
        "95 % interval": ours["interval"],
        BESIDE_PROBE[0]: ours["probe"],
        BESIDE_PROBE[1]: ours["gain"],
        "validation accuracy (%)": ours["val_accuracy"],
        "printed (%)": _as_printed(printed.accuracy, printed.sd),
        "test loss": ours["loss"],
        "validation loss": ours["val_loss"],
        "loss, printed": DASH if printed.loss is None else f"{printed.loss:.2f}",
        SECONDS: ours["seconds"],
        "printed (s)": DASH if printed.seconds is None else f"{printed.seconds:,.0f}",
        "trainable": ours["trainable"],
        "trainable, printed": DASH if printed.trainable is None else f"{printed.trainable:,}",
        "frozen": ours["frozen"],
        "frozen, printed": DASH if printed.frozen is None else f"{printed.frozen:,}",
        "total (M)": ours["in_all"],
        "total, printed (M)": DASH if printed.parameters_millions is None else f"{printed.parameters_millions:.1f}",
    }


def _ours(one: Result) -> dict[str, str]:
    summary, seconds, counts = one.summary, one.seconds(), one.repeats[0].record.parameters
    losses = aggregate.score_spreads(one.repeats)["nll"]
    probe, gain = _standing(one)
    val_accuracy, val_loss = _validated(one)
    return {
        "size": str(one.repeats[0].record.recipe.data.image_size),
        "accuracy": _mean_and_sd(summary.mean, summary.sd),
        "n": str(summary.n),
        "interval": _interval(summary.interval),
        "probe": probe,
        "gain": gain,
        "val_accuracy": val_accuracy,
        "val_loss": val_loss,
        "loss": _spread(losses),
        "seconds": f"{three_figures(seconds.mean)}{'' if seconds.sd is None else f' ± {deviation(seconds.sd)}'}",
        "trainable": f"{counts.trainable:,}",
        "frozen": f"{counts.frozen:,}",
        "in_all": f"{(counts.trainable + counts.frozen) / 1e6:.1f}",
    }


def _standing(one: Result) -> tuple[str, str]:
    """Return the accuracy of a logistic regression on the features of the frozen backbone, and what the cell adds."""
    if not (beside := one.standing()):
        return DASH, DASH
    interval = _interval(confidence_intervals.of_difference(beside.pair.interval()))
    spans = "" if interval == DASH else f" ({interval})"
    if beside.pair.untested:
        spans = " (the same in every repeat)"
    return f"{100 * beside.probe:.2f}", f"{100 * beside.pair.difference:+z.2f}{spans}"


def _validated(one: Result) -> tuple[str, str]:
    """Return accuracy and loss of the network that is tested on the validation part, where there is one."""
    last = [curves.tested_row(repeat) for repeat in one.repeats]
    if not all(row.get("val_accuracy") and row.get("val_loss") for row in last):
        return DASH, DASH
    accuracy = aggregate.spread(float(row["val_accuracy"]) for row in last)
    return _mean_and_sd(accuracy.mean, accuracy.sd), _spread(aggregate.spread(float(row["val_loss"]) for row in last))


def _spread(loss: aggregate.Spread) -> str:
    return f"{loss.mean:.2f}" + ("" if loss.sd is None else f" ± {loss.sd:.2f}")


def _mean_and_sd(mean: float, sd: float | None) -> str:
    return f"{100 * mean:.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}")


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return DASH
    return f"{100 * interval.low:z.2f} to {100 * interval.high:z.2f}"


def _as_printed(accuracy: float | None, sd: float | None) -> str:
    return DASH if accuracy is None else f"{accuracy:.2f}" + ("" if sd is None else f" ± {sd:.2f}")


def repeats(cells: Sequence[Result]) -> Table:
    """Return each repeat's accuracy, and each run's as printed where there is one."""
    numbers = sorted({one.number for result in cells for one in result.repeats})
    runs = max((len(result.printed.runs) for result in cells if result.printed), default=0)
    header = ("cell", *(f"repeat {n} (%)" for n in numbers), *(f"run {n}, printed" for n in range(1, runs + 1)))
    return Table(header, [_repeats_row(result, numbers, runs) for result in cells], numbers_from=1)


def _repeats_row(result: Result, numbers: Iterable[int], runs: int) -> tuple[str, ...]:
    ours = {one.number: f"{100 * one.scores.accuracy:.2f}" for one in result.repeats}
    printed = [f"{value:.2f}" for value in result.printed.runs] if result.printed else []
    return (result.cell, *(ours.get(n, MISSING) for n in numbers), *(printed + [DASH] * (runs - len(printed))))


def differences(compared: Sequence[Pair]) -> Table:
    """Return a row per comparison: verdict, difference, interval, p values, and what so many repeats could detect."""
    header = ("comparison", "verdict", "difference (points)", "95 % interval", "p", "p, Holm", *SMALLEST)
    return Table(header, [_difference(one) for one in compared], numbers_from=2)


def _difference(pair: Pair) -> tuple[str, ...]:
    return (
        f"{pair.a} − {pair.b}",
        pair.verdict,
        f"{100 * pair.difference:+z.2f}",
        _interval(confidence_intervals.of_difference(pair.interval())),
        *confidence_intervals.p_values(pair),
        confidence_intervals.smallest_detectable(pair, lambda value: f"{100 * value:.2f}"),
        confidence_intervals.repeats_needed(pair),
    )


def classes(result: Result) -> Table:
    """Return precision and recall of each class next to the printed ones; a class that one of both lacks has a dash."""
    printed = result.printed.classes if result.printed else {}
    ours = {one.name: one for one in aggregate.class_scores(result.repeats)} if result.repeats else {}
    header = ("class", "precision (%)", "printed", "recall (%)", "printed")
    rows = [_class(name, ours.get(name), printed.get(name)) for name in dict.fromkeys([*printed, *ours])]
    return Table(header, rows, numbers_from=1)


def _class(name: str, ours: aggregate.ClassScore | None, printed: PrintedClass | None) -> tuple[str, ...]:
    label = f"{name} (printed as {printed.printed_as})" if printed and printed.printed_as else name
    row = [label]
    for key in ("precision", "recall"):
        spread: Any = getattr(ours, key, None)
        row += [DASH if spread is None else _mean_and_sd(spread.mean, spread.sd)]
        row += [DASH if printed is None else f"{getattr(printed, key):.2f}"]
    return tuple(row)
