"""From what each repeat recorded to what all of them say together: pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from statistics import fmean, median, median_low, stdev
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import InputError
from pipeline.core.recipe import PHASES
from pipeline.evaluation.scores import SCORES

IntArray = npt.NDArray[np.int64]

SPEEDS = ("train_seconds", "images_per_second")
CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


class Repeat(NamedTuple):
    """One repeat's files as read.

    Attributes:
        number: the repeat.
        record: what the result follows from, as `records.whole` has it.
        runtime: the runtime JSON.
        scores: scores.json.
        history: history.csv, one mapping a row.
        predictions: predictions.csv, one mapping a row.
    """

    number: int
    record: dict[str, Any]
    runtime: dict[str, Any]
    scores: dict[str, Any]
    history: list[dict[str, str]]
    predictions: list[dict[str, str]]

    @property
    def classes(self) -> list[str]:
        """The class names in the order of the confusion matrix."""
        return list(self.record["data"]["classes"])


class Spread(NamedTuple):
    """What n values have in common; `sd` (with n - 1) is None where n = 1."""

    mean: float
    sd: float | None
    low: float
    high: float
    n: int

    def as_metric(self) -> dict[str, float | int]:
        """Mean, sd and n as summary.json has them: sd is left out where there is none."""
        told = {"mean": self.mean} if self.sd is None else {"mean": self.mean, "sd": self.sd}
        return told | {"n": self.n}


class Middle(NamedTuple):
    """The median of n values and their range."""

    median: float
    low: float
    high: float
    n: int


class Passes(NamedTuple):
    """How fast the forward pass was on one device, over the repeats that ran there.

    Attributes:
        device: its name and kind.
        network: images a second.
        without_attention: likewise, of the same network without its attention.
        ratio: the first divided by the second, each repeat's own.
    """

    device: str
    network: Middle
    without_attention: Middle
    ratio: Middle


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
        """What its values are over: epochs or iterations, by `unit`."""
        return self.epochs if unit == "epoch" else self.iterations


class ClassScore(NamedTuple):
    """How one class did over the repeats; `support` is the sum of its test images."""

    name: str
    precision: Spread
    recall: Spread
    f1: Spread
    support: int


class Example(NamedTuple):
    """One prediction that is worth a look."""

    repeat: int
    path: str
    actual: str
    predicted: str
    confidence: float


class Confusion(NamedTuple):
    """How often one class was taken for another; `share` is the part of the actual class's test images."""

    actual: str
    predicted: str
    times: int
    share: float


def spread(values: Iterable[float]) -> Spread:
    """Mean, sample standard deviation and range.

    >>> spread([1.0, 2.0, 3.0])
    Spread(mean=2.0, sd=1.0, low=1.0, high=3.0, n=3)
    """
    given = list(values)
    sd = stdev(given) if len(given) > 1 else None
    return Spread(fmean(given), sd, low=min(given), high=max(given), n=len(given))


def middle(values: Iterable[float]) -> Middle:
    """Median and range.

    >>> middle([4.0, 1.0, 2.0])
    Middle(median=2.0, low=1.0, high=4.0, n=3)
    """
    given = list(values)
    return Middle(median(given), low=min(given), high=max(given), n=len(given))


def check_same_experiment(repeats: Sequence[Repeat]) -> None:
    """Refuse to average what was not made in the same way.

    Raises:
        InputError: two repeats differ in recipe, data or starting weights.
    """
    first = repeats[0]
    for other in repeats[1:]:
        for part in ("recipe_name", "recipe", "data", "weights"):
            if other.record[part] != first.record[part]:
                raise InputError(
                    f"record.json: `{part}` of repeat {other.number} is not that of repeat {first.number}; "
                    "`dvc repro` trains both alike"
                )


def score_spreads(repeats: Sequence[Repeat]) -> dict[str, Spread]:
    """Each score over the repeats, as far as they have it: top-5 accuracy takes more than five classes."""
    return {name: spread(one.scores[name] for one in repeats) for name in SCORES if name in repeats[0].scores}


def speed_spreads(repeats: Sequence[Repeat]) -> dict[str, Spread]:
    """Training's seconds and images a second over the repeats."""
    return {name: spread(one.runtime[name] for one in repeats) for name in SPEEDS}


def device(one: Repeat) -> str:
    """What a repeat was trained on: its name and kind."""
    return f"{one.runtime['device_name']} ({one.record['device']})"


def forward_passes(repeats: Sequence[Repeat]) -> list[Passes]:
    """The speed with and without attention on each device; nothing where there is no attention."""
    on: dict[str, list[Mapping[str, float]]] = {}
    for one in repeats:
        if measured := one.runtime["inference_images_per_second"]:
            on.setdefault(device(one), []).append(measured)
    return [
        Passes(
            name,
            network=middle(one["network"] for one in measured),
            without_attention=middle(one["without_attention"] for one in measured),
            ratio=middle(one["network"] / one["without_attention"] for one in measured),
        )
        for name, measured in on.items()
    ]


def summary(repeats: Sequence[Repeat]) -> dict[str, Any]:
    """For each score and speed mean, sd and n, and every repeat's accuracy.

    Each number is a column of `dvc exp show`, so a repeat's other values stay in its own scores.json.
    """
    spreads = score_spreads(repeats) | speed_spreads(repeats)
    each = {str(one.number): {"accuracy": one.scores["accuracy"]} for one in repeats}
    return {name: found.as_metric() for name, found in spreads.items()} | {"repeats": each}


def curves(repeats: Sequence[Repeat]) -> dict[str, Curve]:
    """Loss and accuracy over the epochs, for training and, where there is one, the validation part."""
    found = {name: _curve(repeats, name) for name in CURVES}
    return {name: curve for name, curve in found.items() if curve.epochs}


class Collapse(NamedTuple):
    """A regularizer's weights that have run into one place by the end of a part of the training.

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
    """Where weights ran into one channel, position or layer, at the end of each part of each repeat."""
    found = []
    for one in repeats:
        for part, row in zip(one.record["phases"], _last_rows(one), strict=True):
            found += _collapses(one.number, part["regularizer"], row, part.get("hooked_layers", []))
    return found


def _collapses(repeat: int, method: str, row: Mapping[str, str], hooked_layers: Sequence[str]) -> list[Collapse]:
    told = {
        layer: {name: float(row[f"{name}/{layer}"]) for name in ("entropy", "maximum", "mass")}
        for layer in hooked_layers
        if row.get(f"entropy/{layer}")
    }
    within = [
        Collapse(repeat, method, layer, values["maximum"], alone=False)
        for layer, values in told.items()
        if values["maximum"] > MOST and values["entropy"] < MOST
    ]
    alone = [
        Collapse(repeat, method, layer, values["mass"], alone=True)
        for layer, values in told.items()
        if len(told) > 1 and values["mass"] > NEARLY_ALL
    ]
    return within + alone


def _last_rows(one: Repeat) -> list[dict[str, str]]:
    column, ends = unit(one.record), accumulate(phase["amount"] for phase in one.record["phases"])
    return [[row for row in one.history if float(row[column]) <= end][-1] for end in ends]


def unit(record: Mapping[str, Any]) -> str:
    """What a training's budget is counted in, by its name in history.csv: `epoch` or `iteration`."""
    return {"epochs": "epoch", "iterations": "iteration"}[record["recipe"]["train"]["budget"]["unit"]]


def part_name(record: Mapping[str, Any], number: int) -> str:
    """What a part of the training is called: a phase, or a half with its regularizer."""
    if record["recipe"]["network"]["freeze"] == PHASES:
        return f"phase {number}"
    return f"half {number}: {record['phases'][number - 1]['regularizer']}"


def phase_starts(record: Mapping[str, Any]) -> dict[str, int]:
    """With which epoch or iteration, as the budget is counted, each part of the training but the first begins.

    A phase of iterations ends its last epoch early, so an epoch is never of two phases.
    """
    ends = accumulate(phase["amount"] for phase in record["phases"][:-1])
    return {part_name(record, number): end + 1 for number, end in enumerate(ends, start=2)}


def _curve(repeats: Sequence[Repeat], name: str) -> Curve:
    told = {one.number: {int(row["epoch"]): row for row in one.history if row.get(name)} for one in repeats}
    each = {number: {epoch: float(row[name]) for epoch, row in rows.items()} for number, rows in told.items()}
    epochs = sorted(set().union(*each.values()))
    columns = [[values[epoch] for values in each.values() if epoch in values] for epoch in epochs]
    return Curve(
        epochs=epochs,
        iterations=[
            fmean(int(rows[epoch]["iteration"]) for rows in told.values() if epoch in rows) for epoch in epochs
        ],
        mean=[fmean(column) for column in columns],
        low=[min(column) for column in columns],
        high=[max(column) for column in columns],
        repeats=each,
    )


def curve_rows(found: Mapping[str, Curve]) -> list[dict[str, str]]:
    """The curves as rows of curves.csv: the means first, then range and every repeat; empty where none is."""
    epochs = sorted({epoch for curve in found.values() for epoch in curve.epochs})
    return [_curve_row(found, epoch) for epoch in epochs]


def _curve_row(found: Mapping[str, Curve], epoch: int) -> dict[str, str]:
    means, others = {"epoch": str(epoch)}, {}
    for name, curve in found.items():
        place = curve.epochs.index(epoch) if epoch in curve.epochs else None
        means[name] = "" if place is None else f"{curve.mean[place]:.6g}"
        others[f"{name}_min"] = "" if place is None else f"{curve.low[place]:.6g}"
        others[f"{name}_max"] = "" if place is None else f"{curve.high[place]:.6g}"
        for number, values in curve.repeats.items():
            others[f"{name}_repeat_{number}"] = f"{values[epoch]:.6g}" if epoch in values else ""
    return means | others


def pooled_confusion(repeats: Sequence[Repeat]) -> IntArray:
    """The sum of the repeats' confusion matrices: (K, K), rows actual, columns predicted."""
    total: IntArray = np.array([one.scores["confusion"] for one in repeats], dtype=np.int64).sum(axis=0)
    return total


def class_scores(repeats: Sequence[Repeat]) -> list[ClassScore]:
    """Precision, recall and F1 of each class, over the repeats that tested it (all, where none did)."""
    return [_class_score(repeats, name) for name in repeats[0].classes]


def _class_score(repeats: Sequence[Repeat], name: str) -> ClassScore:
    rows = [one.scores["classes"][name] for one in repeats]
    tested = [row for row in rows if row["support"]] or rows
    precision, recall, f1 = (spread(row[key] for row in tested) for key in ("precision", "recall", "f1"))
    return ClassScore(name, precision, recall, f1, support=sum(row["support"] for row in rows))


def top_confusions(matrix: IntArray, classes: Sequence[str], limit: int) -> list[Confusion]:
    """The largest counts off the diagonal, at most `limit`."""
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    places = [divmod(int(place), len(classes)) for place in order]
    return [
        Confusion(classes[row], classes[column], int(wrong[row, column]), wrong[row, column] / matrix[row].sum())
        for row, column in places
        if wrong[row, column]
    ]


def most_confused(matrix: IntArray, limit: int) -> list[int]:
    """The classes of the most frequent confusions, at most `limit`, in the order of the matrix."""
    wrong = matrix - np.diag(np.diag(matrix))
    found: list[int] = []
    for place in np.argsort(-wrong, axis=None, kind="stable"):
        pair = divmod(int(place), len(matrix))
        if not wrong[pair] or len(set(found) | set(pair)) > limit:
            break
        found += [one for one in pair if one not in found]
    return sorted(found)


def majority_accuracy(repeats: Sequence[Repeat]) -> float:
    """The mean accuracy of naming the test part's most frequent class every time."""
    counts = [np.sum(one.scores["confusion"], axis=1) for one in repeats]
    return fmean(float(count.max() / count.sum()) for count in counts)


def wrong_examples(repeats: Sequence[Repeat], limit: int) -> list[Example]:
    """The wrong predictions with the highest confidence, each image once."""
    wrong = [one for one in _examples(repeats) if one.actual != one.predicted]
    wrong.sort(key=lambda one: (-one.confidence, one.path, one.repeat))
    first_of_each: dict[str, Example] = {}
    for one in wrong:
        first_of_each.setdefault(one.path, one)
    return list(first_of_each.values())[:limit]


def right_examples(repeats: Sequence[Repeat], limit: int) -> list[Example]:
    """For each class the right prediction of median confidence: a typical one, not the best.

    Where there are more classes than `limit`, those shown lie at equal distances in the list of classes.
    """
    right: dict[str, list[Example]] = {name: [] for name in repeats[0].classes}
    for one in _examples(repeats):
        if one.actual == one.predicted:
            right[one.actual].append(one)
    typical = [_typical(found) for found in right.values() if found]
    step = math.ceil(len(typical) / limit) or 1
    return typical[::step]


def _typical(found: Sequence[Example]) -> Example:
    ordered = sorted(found, key=lambda one: (one.confidence, one.path, one.repeat))
    return ordered[median_low(range(len(ordered)))]


def _examples(repeats: Sequence[Repeat]) -> list[Example]:
    return [example(one.number, row) for one in repeats for row in one.predictions]


def example(repeat: int, row: Mapping[str, Any]) -> Example:
    """One row of a repeat's predictions."""
    return Example(repeat, row["path"], row["actual"], row["predicted"], float(row["confidence"]))
