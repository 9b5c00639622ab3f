"""Predictions that are worth a look: pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median_low
from typing import Any, NamedTuple

from pipeline.core.files import as_cell
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting.signs import NO_BREAK

# Columns of look_first.csv.
LOOK_FIRST = ("path", "actual", "predicted", "confidence", "repeat", "wrong_in", "tested_in")


class Example(NamedTuple):
    """One prediction that is worth a look."""

    repeat: int
    path: str
    actual: str
    predicted: str
    confidence: float


def wrong_examples(repeats: Sequence[Repeat], limit: int | None = None) -> list[Example]:
    """Return the wrong predictions with the highest confidence, each image once; all of them without a limit."""
    wrong = [one for one in _examples(repeats) if one.actual != one.predicted]
    wrong.sort(key=lambda one: (-one.confidence, one.path, one.repeat))
    first_of_each: dict[str, Example] = {}
    for one in wrong:
        first_of_each.setdefault(one.path, one)
    return list(first_of_each.values())[:limit]


def look_first(repeats: Sequence[Repeat]) -> list[dict[str, str]]:
    """Return the rows of look_first.csv: every image that was taken for another class, the most confident first.

    Each has the most confident of its wrong predictions, and in how many of the repeats that test it it is wrong. It is
    for a spreadsheet too, so no name is a formula there.
    """
    tested, wrong = _how_often(repeats)
    return [
        {
            "path": as_cell(one.path),
            "actual": as_cell(one.actual),
            "predicted": as_cell(one.predicted),
            "confidence": f"{one.confidence:.6f}",
            "repeat": str(one.repeat),
            "wrong_in": str(wrong[one.path]),
            "tested_in": str(tested[one.path]),
        }
        for one in wrong_examples(repeats)
    ]


def _how_often(repeats: Sequence[Repeat]) -> tuple[Counter[str], Counter[str]]:
    """Return in how many repeats each image is tested, and in how many it is taken for another class, by its path."""
    rows = [row for one in repeats for row in one.predictions]
    wrong = (row["path"] for row in rows if row["actual"] != row["predicted"])
    return Counter(row["path"] for row in rows), Counter(wrong)


def whose(repeats: Sequence[Repeat], listed: Iterable[Example]) -> dict[Example, str]:
    """Return which repeat each example is of, and in how many of those that test its image it is wrong.

    Nothing for a single repeat, whose examples need no such word.
    """
    if len(repeats) == 1:
        return {}
    tested, wrong = _how_often(repeats)
    often = {path: f"wrong in {wrong[path]} of {tested[path]}".replace(" ", NO_BREAK) for path in tested}
    return {one: f"repeat{NO_BREAK}{one.repeat}, {often[one.path]}" for one in listed}


def right_examples(repeats: Sequence[Repeat], limit: int) -> list[Example]:
    """Return for each class the right prediction of median confidence: a typical one, not the best.

    Where there are more classes than `limit`, those shown lie at equal distances in the list of classes.
    """
    right: dict[str, list[Example]] = {name: [] for name in repeats[0].classes}
    for one in _examples(repeats):
        if one.actual == one.predicted:
            right[one.actual].append(one)
    typical = [_typical(examples) for examples in right.values() if examples]
    step = math.ceil(len(typical) / limit) or 1
    return typical[::step]


def _typical(examples: Sequence[Example]) -> Example:
    ordered = sorted(examples, key=lambda one: (one.confidence, one.path, one.repeat))
    return ordered[median_low(range(len(ordered)))]


def _examples(repeats: Sequence[Repeat]) -> list[Example]:
    return [example(one.number, row) for one in repeats for row in one.predictions]


def example(repeat: int, row: Mapping[str, Any]) -> Example:
    """Return one row of a repeat's predictions."""
    return Example(repeat, row["path"], row["actual"], row["predicted"], float(row["confidence"]))
