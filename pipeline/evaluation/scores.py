"""Table of scores, each computed from the actual classes and the network's logits."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from pipeline.core.choices import Choice
from pipeline.core.errors import InputError
from pipeline.evaluation.predictions import BINS, FloatArray, IntArray, Predictions
from pipeline.evaluation.uncertainty.arrays import check_finite

# With at most this many classes, the actual one is always among the first five.
TOP = 5


def accuracy(predictions: Predictions) -> float:
    """Return the fraction of images whose class is predicted."""
    return float(predictions.right.sum() / len(predictions.actual))


def top5_accuracy(predictions: Predictions) -> float | None:
    """Return the fraction of images whose class is among the five largest logits; None for K <= 5.

    Of equal logits the earlier class comes first, as in the prediction, so that it is never below the accuracy. This
    departs from scikit-learn's `top_k_accuracy_score`, where the later one does.
    """
    if predictions.logits.shape[1] <= TOP:
        return None
    # A stable sort of the negated logits keeps equal ones in the order of the classes.
    first = np.argsort(-predictions.logits, axis=1, kind="stable")[:, :TOP]
    return float((first == predictions.actual[:, None]).any(axis=1).mean())


def macro_f1(predictions: Predictions) -> float:
    """Return the mean F1 of the classes that occur as actual or predicted, as scikit-learn has it.

    A class without a test image that is predicted once counts as one of F1 0.
    """
    return float(predictions.f1[predictions.support + predictions.predicted > 0].mean())


def balanced_accuracy(predictions: Predictions) -> float:
    """Return the mean recall of the classes that occur as actual."""
    return float(predictions.recall[predictions.support > 0].mean())


def nll(predictions: Predictions) -> float:
    """Return the mean negative logarithm of the actual class's probability."""
    surprise = -log_softmax(predictions.logits.astype(np.float64), axis=1)[
        np.arange(len(predictions.actual)), predictions.actual
    ]
    return float(surprise.mean())


def calibration_error(predictions: Predictions) -> float:
    """Return the expected calibration error, see `calibration`."""
    return predictions.calibration[0]


@dataclass(frozen=True, kw_only=True)
class Score(Choice):
    """A row: a score of predictions, a number >= 0.

    Attributes:
        compute: returns the score; None if it does not apply to so few classes.
        highest: upper bound of the score.
        percent: whether tables are in percent.
        decimals: number of decimals in `orbweaver compare`.
        lower_is_better: as for an error or a loss.
        on_page: whether the report lists it below the accuracy; its table of repeats has every score.
    """

    compute: Callable[[Predictions], float | None]
    highest: float = 1.0
    percent: bool = True
    decimals: int = 2
    lower_is_better: bool = False
    on_page: bool = True

    @property
    def scale(self) -> int:
        """Factor from a value to its display."""
        return 100 if self.percent else 1

    def shown(self, value: float) -> str:
        """Return a value as tables have it, without its unit."""
        return f"{self.scale * value:z.{self.decimals}f}"

    @property
    def in_words(self) -> str:
        """The description, with a note where lower is better."""
        return self.description + " (lower is better)" * self.lower_is_better

    @property
    def unit(self) -> str:
        """Unit behind a heading."""
        return " (%)" if self.percent else ""


SCORES: dict[str, Score] = {
    "accuracy": Score(
        title="accuracy",
        description="images whose class has the largest logit",
        compute=accuracy,
    ),
    "top5_accuracy": Score(
        title="top-5 accuracy",
        description="images whose class is among the five largest logits, with more than five classes",
        compute=top5_accuracy,
    ),
    "macro_f1": Score(
        title="macro-F1",
        description="mean F1 of the classes, each counting the same",
        compute=macro_f1,
    ),
    "balanced_accuracy": Score(
        title="balanced accuracy",
        description="mean recall of the classes, each counting the same",
        compute=balanced_accuracy,
    ),
    "nll": Score(
        title="NLL",
        description="mean negative log-likelihood of the actual class",
        compute=nll,
        highest=math.inf,
        percent=False,
        decimals=3,
        lower_is_better=True,
        on_page=False,
    ),
    "calibration_error": Score(
        title="calibration error",
        description=f"expected calibration error over {BINS} bins of the confidence",
        compute=calibration_error,
        lower_is_better=True,
    ),
}


def scores(actual: IntArray, logits: FloatArray, classes: Sequence[str]) -> dict[str, Any]:
    """Compute all scores of a test part.

    A quotient 0/0 counts as 0: the precision of a class that is never predicted, the recall of one without images.

    Args:
        actual: (n,) index in `classes` of each image's class; n >= 1.
        logits: (n, K), as for `Predictions`.
        classes: the K names.

    Returns:
        Each row of `SCORES` that applies; test_images = n; classes: for each name precision, recall, f1 (0..1) and
        support (images); confusion: K rows (actual) of K counts (predicted); reliability: see `calibration`.

    Raises:
        InputError: for no image, logits that are not finite, or a score that its row rules out.
        ValueError: for shapes that do not fit each other.

    >>> result = scores(np.array([0, 0, 1, 1]), np.array([[2, 1], [0, 1], [0, 3], [1, 2]]), ["cat", "dog"])
    >>> result["accuracy"], result["confusion"]
    (0.75, [[1, 1], [0, 2]])
    >>> result["classes"]["cat"]
    {'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666, 'support': 2}
    """
    _check(actual, logits, classes)
    predictions = Predictions(actual, logits)
    values = {name: row.compute(predictions) for name, row in SCORES.items()}
    _check_range(values)
    each = map(_one_class, predictions.precision, predictions.recall, predictions.f1, predictions.support)
    return {
        **{name: value for name, value in values.items() if value is not None},
        "test_images": len(actual),
        "classes": dict(zip(classes, each, strict=True)),
        "confusion": predictions.confusion.tolist(),
        "reliability": predictions.calibration[1],
    }


def logits_of(probabilities: FloatArray) -> npt.NDArray[np.float64]:
    """Return logits (n, K) of probabilities: their logarithms, at least that of the smallest number of float32.

    A probability of 0 is a rounded one. Its logarithm would make a mean of them infinite, and the smallest of all
    numbers in its place one of 300 digits.
    """
    return np.log(np.maximum(probabilities, float(np.finfo(np.float32).smallest_subnormal)))


def _one_class(precision: float, recall: float, f1: float, support: int) -> dict[str, float | int]:
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}


def _check_range(values: Mapping[str, float | None]) -> None:
    """Refuse what no table or comparison could use: not a number, below 0, or above what its row says."""
    for name, value in values.items():
        highest = SCORES[name].highest
        # Sums of probabilities may be above one by their rounding.
        if value is not None and not 0 <= value <= highest * (1 + 1e-9):
            raise InputError(f"score {name!r}: {value} is no number from 0 to {highest}; mend its function")


def _check(actual: IntArray, logits: FloatArray, classes: Sequence[str]) -> None:
    if len(actual) == 0:
        raise InputError("test part: no image in it; raise the split's `test` or give more images")
    if logits.shape != (len(actual), len(classes)):
        raise ValueError(f"logits {logits.shape} do not fit {len(actual)} images of {len(classes)} classes")
    if actual.min() < 0 or actual.max() >= len(classes):
        raise ValueError(f"actual holds {actual.min()}..{actual.max()}, but there are {len(classes)} classes")
    check_finite("logits", logits)
