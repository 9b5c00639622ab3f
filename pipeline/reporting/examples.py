"""Predictions that are worth a look: pure."""

import math
from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Any, NamedTuple

from pipeline.evaluation.compare.repeats import Repeat


class Example(NamedTuple):
    """One prediction that is worth a look."""

    repeat: int
    path: str
    actual: str
    predicted: str
    confidence: float


def wrong_examples(repeats: Sequence[Repeat], limit: int) -> list[Example]:
    """Return the wrong predictions with the highest confidence, each image once."""
    wrong = [one for one in _examples(repeats) if one.actual != one.predicted]
    wrong.sort(key=lambda one: (-one.confidence, one.path, one.repeat))
    first_of_each: dict[str, Example] = {}
    for one in wrong:
        first_of_each.setdefault(one.path, one)
    return list(first_of_each.values())[:limit]


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
