"""Curves over all repeats, and where in them a part of the training begins: pure."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from statistics import fmean
from typing import NamedTuple

from pipeline.core.records import Record
from pipeline.evaluation.compare.repeats import Repeat

CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


class Curve(NamedTuple):
    """A column of history.csv over all repeats.

    Attributes:
        epochs: every epoch that some repeat reached, rising.
        iterations: a value an epoch: how many there were by its end, the mean over the repeats that reached it.
        mean: a value an epoch, over the repeats that reached it; so too `low` and `high`.
        low: the smallest.
        high: the largest.
        repeats: for each repeat its values by epoch.
    """

    epochs: list[int]
    iterations: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]
    repeats: dict[int, dict[int, float]]

    def steps(self, unit: str) -> Sequence[float]:
        """Return the epochs or iterations of the values, by `unit`."""
        return self.epochs if unit == "epoch" else self.iterations


def curves(repeats: Sequence[Repeat]) -> dict[str, Curve]:
    """Return loss and accuracy over the epochs, for training and, where there is one, the validation part."""
    all_curves = {name: _curve(repeats, name) for name in CURVES}
    return {name: curve for name, curve in all_curves.items() if curve.epochs}


def unit(record: Record) -> str:
    """Return what a training's budget is counted in, by its name in history.csv: `epoch` or `iteration`."""
    return {"epochs": "epoch", "iterations": "iteration"}[record.recipe.train.budget.unit]


def tested_row(one: Repeat) -> dict[str, str]:
    """Return the epoch whose network is tested: the last, or with early stop the last phase's with the least loss."""
    train = one.record.recipe.train
    if not train.early_stop:
        return one.history[-1]
    begin = sum(phase.amount for phase in train.phases[:-1])
    rows = [row for row in one.history if float(row[unit(one.record)]) > begin]
    losses = [float(row["val_loss"]) for row in rows]
    # As `BestEpoch` does: one that is not a number is worse than any.
    return rows[min(range(len(rows)), key=lambda place: (math.isnan(losses[place]), losses[place]))]


def part_name(record: Record, number: int) -> str:
    """Return what a part of the training is called: a phase, or a half with its regularizer."""
    if record.recipe.in_phases:
        return f"phase {number}"
    return f"half {number}: {record.phases[number - 1].regularizer}"


def phase_starts(record: Record) -> dict[str, int]:
    """Return with which epoch or iteration, as the budget is counted, each part of the training but the first begins.

    A phase of iterations ends its last epoch early, so an epoch is never of two phases.
    """
    ends = accumulate(phase.amount for phase in record.phases[:-1])
    return {part_name(record, number): end + 1 for number, end in enumerate(ends, start=2)}


def _curve(repeats: Sequence[Repeat], name: str) -> Curve:
    rows_of = {one.number: {int(row["epoch"]): row for row in one.history if row.get(name)} for one in repeats}
    each = {number: {epoch: float(row[name]) for epoch, row in rows.items()} for number, rows in rows_of.items()}
    epochs = sorted(set().union(*each.values()))
    columns = [[values[epoch] for values in each.values() if epoch in values] for epoch in epochs]
    return Curve(
        epochs=epochs,
        iterations=[
            fmean(int(rows[epoch]["iteration"]) for rows in rows_of.values() if epoch in rows) for epoch in epochs
        ],
        mean=[fmean(column) for column in columns],
        low=[min(column) for column in columns],
        high=[max(column) for column in columns],
        repeats=each,
    )


def curve_rows(named: Mapping[str, Curve]) -> list[dict[str, str]]:
    """Return the curves as rows of curves.csv: the means first, then range and every repeat; empty where none is."""
    epochs = sorted({epoch for curve in named.values() for epoch in curve.epochs})
    return [_curve_row(named, epoch) for epoch in epochs]


def _curve_row(named: Mapping[str, Curve], epoch: int) -> dict[str, str]:
    means, others = {"epoch": str(epoch)}, {}
    for name, curve in named.items():
        place = curve.epochs.index(epoch) if epoch in curve.epochs else None
        means[name] = "" if place is None else f"{curve.mean[place]:.6g}"
        others[f"{name}_min"] = "" if place is None else f"{curve.low[place]:.6g}"
        others[f"{name}_max"] = "" if place is None else f"{curve.high[place]:.6g}"
        for number, values in curve.repeats.items():
            others[f"{name}_repeat_{number}"] = f"{values[epoch]:.6g}" if epoch in values else ""
    return means | others
