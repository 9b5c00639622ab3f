"""A study's results as tables, ours beside what was printed."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.evaluation.compare.statistics import Interval
from pipeline.reporting import aggregate
from pipeline.reporting.tables import Table, deviation, three_figures
from pipeline.studies.definition import Printed, PrintedClass
from pipeline.studies.results import Difference, Result

MISSING = "missing"
NONE = "–"


def results(members: Sequence[Result]) -> Table:
    """Return accuracy, time and parameters of each cell; columns of what no paper printed are left out."""
    columns = {name: [row[name] for row in map(_row, members)] for name in _row(members[0])}
    kept = {name: cells for name, cells in columns.items() if "printed" not in name or set(cells) != {NONE}}
    rows = [tuple(column[place] for column in kept.values()) for place in range(len(members))]
    return Table(tuple(kept), rows, numbers_from=1)


def _row(one: Result) -> dict[str, str]:
    printed = one.printed or Printed()
    ours = _ours(one) if one.repeats else dict.fromkeys(("accuracy", "n", "interval", "seconds", "trainable"), MISSING)
    return {
        "cell": one.cell,
        "accuracy (%)": ours["accuracy"],
        "n": ours["n"],
        "95 % interval": ours["interval"],
        "as printed (%)": _as_printed(printed.accuracy, printed.sd),
        "training (s)": ours["seconds"],
        "as printed (s)": NONE if printed.seconds is None else f"{printed.seconds:,.0f}",
        "trainable": ours["trainable"],
        "trainable, as printed": _parameters(printed),
        "frozen, as printed": NONE if printed.frozen is None else f"{printed.frozen:,}",
        "loss, as printed": NONE if printed.loss is None else f"{printed.loss:.2f}",
    }


def _ours(one: Result) -> dict[str, str]:
    summary, seconds = one.summary(), one.seconds()
    spread = "" if seconds.sd is None else f" ± {deviation(seconds.sd)}"
    return {
        "accuracy": _mean_and_sd(summary.mean, summary.sd),
        "n": str(summary.n),
        "interval": _interval(summary.interval),
        "seconds": f"{three_figures(seconds.mean)}{spread}",
        "trainable": NONE if summary.parameters is None else f"{summary.parameters:,}",
    }


def _mean_and_sd(mean: float, sd: float | None) -> str:
    return f"{100 * mean:.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}")


def _interval(interval: Interval | None) -> str:
    if interval is None or math.isnan(interval.low):
        return NONE
    return f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"


def _as_printed(accuracy: float | None, sd: float | None) -> str:
    return NONE if accuracy is None else f"{accuracy:.2f}" + ("" if sd is None else f" ± {sd:.2f}")


def _parameters(printed: Printed) -> str:
    if printed.trainable is not None:
        return f"{printed.trainable:,}"
    return NONE if printed.parameters_millions is None else f"{printed.parameters_millions} M in all"


def repeats(cells: Sequence[Result]) -> Table:
    """Return each repeat's accuracy, and each run's as printed where there is one."""
    numbers = sorted({one.number for result in cells for one in result.repeats})
    runs = max((len(result.printed.runs) for result in cells if result.printed), default=0)
    header = ("cell", *(f"repeat {n} (%)" for n in numbers), *(f"run {n}, as printed" for n in range(1, runs + 1)))
    return Table(header, [_repeats_row(result, numbers, runs) for result in cells], numbers_from=1)


def _repeats_row(result: Result, numbers: Iterable[int], runs: int) -> tuple[str, ...]:
    ours = {one.number: f"{100 * one.scores.accuracy:.2f}" for one in result.repeats}
    printed = [f"{value:.2f}" for value in result.printed.runs] if result.printed else []
    return (result.cell, *(ours.get(n, MISSING) for n in numbers), *(printed + [NONE] * (runs - len(printed))))


def differences(compared: Sequence[Difference]) -> Table:
    """Each comparison: the difference with its interval, p, Holm's p, what could have been seen, and the verdict."""
    header = ("comparison", "verdict", "difference (points)", "95 % interval", "p", "p, Holm", "smallest seen (points)")
    return Table(header, [_difference(one) for one in compared], numbers_from=2)


def _difference(one: Difference) -> tuple[str, ...]:
    pair = one.pair
    smallest = NONE if pair.smallest is None else f"{100 * pair.smallest:.2f}"
    return (
        f"{pair.a} less {pair.b}",
        one.verdict,
        f"{100 * pair.difference:+.2f}",
        _interval(pair.interval()),
        _p(pair.p),
        _p(one.holm),
        smallest,
    )


def _p(value: float | None) -> str:
    if value is None:
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def classes(result: Result) -> Table:
    """Return precision and recall of each class next to the printed ones; a class that one of both lacks has a dash."""
    printed = result.printed.classes if result.printed else {}
    ours = {one.name: one for one in aggregate.class_scores(result.repeats)} if result.repeats else {}
    header = ("class", "precision (%)", "as printed", "recall (%)", "as printed")
    rows = [_class(name, ours.get(name), printed.get(name)) for name in dict.fromkeys([*printed, *ours])]
    return Table(header, rows, numbers_from=1)


def _class(name: str, ours: aggregate.ClassScore | None, printed: PrintedClass | None) -> tuple[str, ...]:
    label = f"{name} (printed as {printed.printed_as})" if printed and printed.printed_as else name
    row = [label]
    for key in ("precision", "recall"):
        spread: Any = getattr(ours, key, None)
        row += [NONE if spread is None else _mean_and_sd(spread.mean, spread.sd)]
        row += [NONE if printed is None else f"{getattr(printed, key):.2f}"]
    return tuple(row)
