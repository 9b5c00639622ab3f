"""The charts of a report, each for light and for dark screens and in words."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pipeline.reporting import aggregate, figures, tables
from pipeline.reporting.aggregate import Curve, Repeat
from pipeline.reporting.figures import DARK, LIGHT, Theme


class Picture(NamedTuple):
    """A chart as SVG for light and for dark screens, and what it shows in words."""

    light: bytes
    dark: bytes
    alt: str


def pictures(repeats: Sequence[Repeat]) -> dict[str, Picture]:
    """The charts by name: loss, accuracy, confusion and classes."""
    curves, matrix = aggregate.curves(repeats), aggregate.pooled_confusion(repeats)
    names, scores = repeats[0].classes, aggregate.class_scores(repeats)
    tested = aggregate.score_spreads(repeats)["accuracy"].mean
    starts = aggregate.phase_starts(repeats)
    loss = partial(figures.loss_curves, curves, starts=starts)
    accuracy = partial(figures.accuracy_curves, curves, tested, starts=starts)
    return {
        "loss": _picture(loss, _loss_alt(curves) + _phases_alt(starts)),
        "accuracy": _picture(accuracy, _accuracy_alt(curves, tested) + _phases_alt(starts)),
        "confusion": _picture(partial(figures.confusion_matrix, matrix, names), _confusion_alt(matrix, names)),
        "classes": _picture(partial(figures.class_bars, scores), _bars_alt(scores)),
    }


def _picture(draw: Callable[[Theme], bytes], alt: str) -> Picture:
    return Picture(draw(LIGHT), draw(DARK), alt)


def _loss_alt(curves: Mapping[str, Curve]) -> str:
    curve = curves["train_loss"]
    ends = f"{curve.mean[0]:.3g} after epoch {curve.epochs[0]}, {curve.mean[-1]:.3g} after {curve.epochs[-1]}"
    return f"Loss over the epochs. Training: {ends}."


def _accuracy_alt(curves: Mapping[str, Curve], tested: float) -> str:
    last = tables.percent(curves["train_accuracy"].mean[-1])
    test = tables.percent(tested)
    return f"Accuracy over the epochs. Training: {last} after the last epoch; test part: {test}."


def _phases_alt(starts: Mapping[str, Sequence[int]]) -> str:
    return "".join(
        f" {phase.capitalize()} begins with epoch {' or '.join(map(str, epochs))}." for phase, epochs in starts.items()
    )


def _confusion_alt(matrix: aggregate.IntArray, names: Sequence[str]) -> str:
    right, told = int(matrix.trace()), f"Confusion matrix of {matrix.sum():,} test predictions"
    return f"{told} of {len(names)} classes, {right:,} of them right. The table of confusions tells the largest."


def _bars_alt(scores: Sequence[aggregate.ClassScore]) -> str:
    best, worst = (choose(scores, key=lambda one: one.f1.mean) for choose in (max, min))
    ends = (f"{one.name} {tables.percent(one.f1.mean)}" for one in (best, worst))
    return f"Bars of precision and recall for each class. F1 from best to worst: {' to '.join(ends)}."
