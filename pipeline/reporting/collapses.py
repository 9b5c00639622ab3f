"""Regularizers whose weights have run into one channel, position or layer: pure."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting.curves import unit


class Collapse(NamedTuple):
    """Weights of a regularizer that have run into one place by the end of a part of the training.

    Attributes:
        repeat: in which.
        method: the regularizer.
        layer: the layer.
        share: how much of the layer's weight one channel or position holds, or of all weight the layer does.
        alone: whether it is the layer that holds nearly all.
    """

    repeat: int
    method: str
    layer: str
    share: float
    alone: bool


# One place of a layer holds more than this part of its weight, and the entropy is under this part of its largest.
MOST = 0.5
# One layer holds more than this part of the weight of all.
NEARLY_ALL = 0.95


def collapses(repeats: Sequence[Repeat]) -> list[Collapse]:
    """Return where weights ran into one channel, position or layer, at the end of each part of each repeat."""
    all_collapses = []
    for one in repeats:
        for part, row in zip(one.record.phases, _last_rows(one), strict=True):
            all_collapses += _collapses(one.number, part.regularizer, row, part.hooked_layers or ())
    return all_collapses


def _collapses(repeat: int, method: str, row: Mapping[str, str], hooked_layers: Sequence[str]) -> list[Collapse]:
    spread = {
        layer: {name: float(row[f"{name}/{layer}"]) for name in ("entropy", "maximum", "mass")}
        for layer in hooked_layers
        if row.get(f"entropy/{layer}")
    }
    within = [
        Collapse(repeat, method, layer, values["maximum"], alone=False)
        for layer, values in spread.items()
        if values["maximum"] > MOST and values["entropy"] < MOST
    ]
    alone = [
        Collapse(repeat, method, layer, values["mass"], alone=True)
        for layer, values in spread.items()
        if len(spread) > 1 and values["mass"] > NEARLY_ALL
    ]
    return within + alone


def _last_rows(one: Repeat) -> list[dict[str, str]]:
    column, ends = unit(one.record), accumulate(phase.amount for phase in one.record.phases)
    return [[row for row in one.history if float(row[column]) <= end][-1] for end in ends]
