"""How good predictions are, from the actual classes and the network's logits: pure.

Counts and quotients of counts, equal to scikit-learn's to the last bit, which the tests hold against it. They are
computed here since importing scikit-learn's takes most of the time that importing torch does.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, softmax

from pipeline.core.errors import InputError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

# With no more classes than this, the right one is always among the first five.
TOP = 5
# Equal parts of the confidence, as in Guo et al. 2017.
BINS = 15


def scores(actual: IntArray, logits: FloatArray, classes: Sequence[str]) -> dict[str, Any]:
    """Compare the largest logit's class with the actual one.

    A quotient 0/0 counts as 0: the precision of a class that is never predicted, the recall of one without
    an image. The means pass over what a test part cannot tell: macro-F1 is over the classes that occur as
    actual or predicted, balanced accuracy (the mean recall) over those that occur as actual.

    Args:
        actual: (n,) the index in `classes` of each image's class; n >= 1.
        logits: (n, K) one row an image; the first of equal largest values is the prediction.
        classes: the K names.

    Returns:
        accuracy, top5_accuracy (where K > 5), macro_f1 and balanced_accuracy, all 0..1; nll, the mean negative
        logarithm of the actual class's probability; calibration_error, see `calibration`; test_images = n; classes: for
        each name precision, recall, f1 (0..1) and support (images); confusion: K rows (actual) of K counts
        (predicted); reliability: see `calibration`.

    Raises:
        InputError: there is no image, or a logit is not finite.
        ValueError: the shapes do not fit each other.

    >>> told = scores(np.array([0, 0, 1, 1]), np.array([[2, 1], [0, 1], [0, 3], [1, 2]]), ["cat", "dog"])
    >>> told["accuracy"], told["confusion"]
    (0.75, [[1, 1], [0, 2]])
    >>> told["classes"]["cat"]
    {'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666, 'support': 2}
    """
    _check(actual, logits, classes)
    predicted = np.argmax(logits, axis=1)
    table = confusion(actual, predicted, len(classes))
    right, guessed, support = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    recall, f1 = _quotient(right, support), _quotient(2 * right, support + guessed)
    error, reliability = calibration(actual, logits)
    return {
        "accuracy": float(right.sum() / len(actual)),
        **_top(actual, logits),
        "macro_f1": float(f1[support + guessed > 0].mean()),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "nll": float(-log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(actual)), actual].mean()),
        "calibration_error": error,
        "test_images": len(actual),
        "classes": dict(zip(classes, map(_one_class, _quotient(right, guessed), recall, f1, support), strict=True)),
        "confusion": table.tolist(),
        "reliability": reliability,
    }


def confusion(actual: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Count the images (K, K) of each actual class (rows) that were taken for each class (columns).

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(actual * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _quotient(part: IntArray, whole: IntArray) -> npt.NDArray[np.float64]:
    """0/0 is 0."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def calibration(actual: IntArray, logits: FloatArray) -> tuple[float, list[dict[str, float | int]]]:
    """How far confidence, the largest softmax probability, is from how often the prediction is right.

    The expected calibration error of Naeini, Cooper and Hauskrecht (2015, AAAI), as Guo et al. (2017, On Calibration
    of Modern Neural Networks, eq. 3) have it: 15 equal parts (low, high] of the confidence, and the mean over the
    images of their part's |accuracy - confidence|.

    Args:
        actual: (n,) as for `scores`.
        logits: (n, K) as for `scores`.

    Returns:
        The error, 0..1, and the reliability diagram's table: for each part with images low, high, images, and their
        mean confidence and accuracy.

    >>> error, table = calibration(np.array([0, 0]), np.log([[0.75, 0.25], [0.25, 0.75]]))
    >>> round(error, 6), len(table), table[0]["images"]
    (0.25, 1, 2)
    """
    confidence = softmax(logits.astype(np.float64), axis=1).max(axis=1)
    right = np.argmax(logits, axis=1) == actual
    place = np.searchsorted(np.arange(1, BINS) / BINS, confidence, side="left")
    table = [_part(part, confidence[place == part], right[place == part]) for part in np.unique(place).tolist()]
    gaps = (one["images"] * abs(one["accuracy"] - one["confidence"]) for one in table)
    return float(sum(gaps) / len(actual)), table


def _part(part: int, confidence: FloatArray, right: npt.NDArray[np.bool_]) -> dict[str, float | int]:
    return {
        "low": part / BINS,
        "high": (part + 1) / BINS,
        "images": len(right),
        "confidence": float(confidence.mean()),
        "accuracy": float(right.mean()),
    }


def again(folder: Path, classes: Sequence[str]) -> dict[str, Any]:
    """The scores of one evaluation once more, from what it saved, without a network or an image.

    Args:
        folder: metrics/evaluate/N, with logits.npy and predictions.csv.
        classes: the K names in the order of the logits, as record.json has them.

    Returns:
        What `scores` gave then.
    """
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        labels = [row["actual"] for row in csv.DictReader(stream)]
    place = {name: number for number, name in enumerate(classes)}
    return scores(np.array([place[label] for label in labels]), np.load(folder / "logits.npy"), classes)


def _top(actual: IntArray, logits: FloatArray) -> dict[str, float]:
    """Of equal logits the later class comes first, as in scikit-learn."""
    if logits.shape[1] <= TOP:
        return {}
    first = np.argsort(logits, axis=1, kind="stable")[:, -TOP:]
    return {"top5_accuracy": float((first == actual[:, None]).any(axis=1).mean())}


def _one_class(precision: float, recall: float, f1: float, support: int) -> dict[str, float | int]:
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}


def _check(actual: IntArray, logits: FloatArray, classes: Sequence[str]) -> None:
    if len(actual) == 0:
        raise InputError("test part: no image in it; raise the split's `test` or give more images")
    if logits.shape != (len(actual), len(classes)):
        raise ValueError(f"logits {logits.shape} do not fit {len(actual)} images of {len(classes)} classes")
    if actual.min() < 0 or actual.max() >= len(classes):
        raise ValueError(f"actual holds {actual.min()}..{actual.max()}, but there are {len(classes)} classes")
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise InputError(f"logits: not finite for {bad} of {len(logits)} images: training diverged; lower `lr`")
