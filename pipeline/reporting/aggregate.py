"""Statistics over the repeats of an experiment: pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import InputError
from pipeline.core.precision import Precision
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.evaluation.scores import SCORES
from pipeline.networks.strategies import PROBE

IntArray = npt.NDArray[np.int64]

# As the page calls them.
PRECISIONS: Mapping[Precision, str] = {"fp32": "float32", "tf32": "TF32", "bf16": "bfloat16"}
SPEEDS = ("train_seconds", "images_per_second")
# Of a record, what all repeats of an experiment have in common.
SHARED = ("recipe_name", "recipe", "data", "weights")


class Spread(NamedTuple):
    """Mean, standard deviation and range of n values; `sd` (with n - 1) is None where n = 1."""

    mean: float
    sd: float | None
    low: float
    high: float
    n: int

    def as_metric(self) -> dict[str, float | int]:
        """Return mean, sd and n as summary.json has them: sd is left out where there is none."""
        metric = {"mean": self.mean} if self.sd is None else {"mean": self.mean, "sd": self.sd}
        return metric | {"n": self.n}


class Middle(NamedTuple):
    """The median of n values and their range."""

    median: float
    low: float
    high: float
    n: int


class Passes(NamedTuple):
    """Speed of the forward pass on one device, over the repeats that ran there.

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


class ClassScore(NamedTuple):
    """Scores of one class over the repeats; `support` is the sum of its test images."""

    name: str
    precision: Spread
    recall: Spread
    f1: Spread
    support: int


class Confusion(NamedTuple):
    """A confusion of two classes and how often it occurs; `share` is the part of the actual class's test images."""

    actual: str
    predicted: str
    times: int
    share: float


def spread(values: Iterable[float]) -> Spread:
    """Return mean, sample standard deviation and range.

    >>> spread([1.0, 2.0, 3.0])
    Spread(mean=2.0, sd=1.0, low=1.0, high=3.0, n=3)
    """
    given = list(values)
    sd = stdev(given) if len(given) > 1 else None
    return Spread(fmean(given), sd, low=min(given), high=max(given), n=len(given))


def middle(values: Iterable[float]) -> Middle:
    """Return median and range.

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
        parts = [name for name in SHARED if getattr(other.record, name) != getattr(first.record, name)]
        parts += ["data"] if other.runtime.data_sha256 != first.runtime.data_sha256 else []
        if parts:
            raise InputError(
                f"record.json: `{parts[0]}` of repeat {other.number} is not that of repeat {first.number}; "
                "`dvc repro` trains both alike"
            )


def is_probe(repeats: Sequence[Repeat]) -> bool:
    """Return whether nothing trained: the head was solved on features of the frozen backbone."""
    return repeats[0].record.recipe.network.freeze == PROBE


def trains(repeats: Sequence[Repeat]) -> str:
    """Return what becomes of the numbers that are not frozen, in a word."""
    return "solved" if is_probe(repeats) else "trains"


def score_spreads(repeats: Sequence[Repeat]) -> dict[str, Spread]:
    """Return each score over the repeats, as far as they have it: top-5 accuracy takes more than five classes."""
    return {
        name: spread(one.scores.by_name[name] for one in repeats)
        for name in SCORES
        if name in repeats[0].scores.by_name
    }


def speed_spreads(repeats: Sequence[Repeat]) -> dict[str, Spread]:
    """Return training's seconds and images a second over the repeats."""
    return {name: spread(getattr(one.runtime, name) for one in repeats) for name in SPEEDS}


def device(one: Repeat) -> str:
    """Return the name and the kind of the device that a repeat was trained on, and the precision that held there."""
    return f"{one.runtime.device_name} ({one.record.device}, {PRECISIONS[one.record.precision]})"


def forward_passes(repeats: Sequence[Repeat]) -> list[Passes]:
    """Return the speed with and without attention on each device; nothing where there is no attention."""
    on: dict[str, list[Mapping[str, float]]] = {}
    for one in repeats:
        if measured := one.runtime.inference_images_per_second:
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
    """Return for each score and speed mean, sd and n, and every repeat's accuracy.

    Each number is a column of `dvc exp show`, so a repeat's other values stay in its own scores.json.
    """
    spreads = score_spreads(repeats) | speed_spreads(repeats)
    each = {str(one.number): {"accuracy": one.scores.accuracy} for one in repeats}
    return {name: spread.as_metric() for name, spread in spreads.items()} | {"repeats": each}


def pooled_confusion(repeats: Sequence[Repeat]) -> IntArray:
    """Return the sum of the repeats' confusion matrices: (K, K), rows actual, columns predicted."""
    total: IntArray = np.array([one.scores.confusion for one in repeats], dtype=np.int64).sum(axis=0)
    return total


def class_scores(repeats: Sequence[Repeat]) -> list[ClassScore]:
    """Return precision, recall and F1 of each class, over the repeats that tested it (all, where none did)."""
    return [_class_score(repeats, name) for name in repeats[0].classes]


def _class_score(repeats: Sequence[Repeat], name: str) -> ClassScore:
    rows = [one.scores.classes[name] for one in repeats]
    tested = [row for row in rows if row.support] or rows
    return ClassScore(
        name,
        precision=spread(row.precision for row in tested),
        recall=spread(row.recall for row in tested),
        f1=spread(row.f1 for row in tested),
        support=sum(row.support for row in rows),
    )


def top_confusions(matrix: IntArray, classes: Sequence[str], limit: int) -> list[Confusion]:
    """Return the largest counts off the diagonal, at most `limit`."""
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    places = [divmod(int(place), len(classes)) for place in order]
    return [
        Confusion(classes[row], classes[column], int(wrong[row, column]), wrong[row, column] / matrix[row].sum())
        for row, column in places
        if wrong[row, column]
    ]


def further_confusions(matrix: IntArray, shown: int) -> tuple[int, int]:
    """Return how many pairs of classes are confused beyond those shown, and how many as often as the last of these."""
    wrong = np.sort((matrix - np.diag(np.diag(matrix))).ravel())[::-1]
    others = wrong[shown:][wrong[shown:] > 0]
    return len(others), int((others == wrong[shown - 1]).sum()) if len(others) else 0


def most_confused(matrix: IntArray, limit: int) -> list[int]:
    """Return the classes of the most frequent confusions, at most `limit`, in the order of the matrix."""
    wrong = matrix - np.diag(np.diag(matrix))
    places: list[int] = []
    for place in np.argsort(-wrong, axis=None, kind="stable"):
        pair = divmod(int(place), len(matrix))
        if not wrong[pair] or len(set(places) | set(pair)) > limit:
            break
        places += [one for one in pair if one not in places]
    return sorted(places)


def majority_accuracy(repeats: Sequence[Repeat]) -> float:
    """Return the mean accuracy of naming the test part's most frequent class every time."""
    counts = [np.sum(one.scores.confusion, axis=1) for one in repeats]
    return fmean(float(count.max() / count.sum()) for count in counts)
