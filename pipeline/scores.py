"""How good predictions are, from the actual classes and the network's logits: pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from pipeline.errors import InputError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]


def scores(actual: IntArray, logits: FloatArray, classes: Sequence[str]) -> dict[str, Any]:
    """Compare the largest logit's class with the actual one, by scikit-learn.

    A quotient 0/0 counts as 0: the precision of a class that is never predicted, the recall of one without
    an image. The means pass over what a test part cannot tell: macro-F1 is over the classes that occur as
    actual or predicted, balanced accuracy (the mean recall) over those that occur as actual.

    Args:
        actual: (n,) the index in `classes` of each image's class; n >= 1.
        logits: (n, K) one row an image; the first of equal largest values is the prediction.
        classes: the K names.

    Returns:
        accuracy, macro_f1 and balanced_accuracy, all 0..1; test_images = n; classes: for each name precision,
        recall, f1 (0..1) and support (images); confusion: K rows (actual) of K counts (predicted).

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
    labels = np.arange(len(classes))
    each = precision_recall_fscore_support(actual, predicted, labels=labels, zero_division=0)
    recall, support = each[1], each[3]
    return {
        "accuracy": float(accuracy_score(actual, predicted)),
        "macro_f1": float(f1_score(actual, predicted, average="macro", zero_division=0)),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "test_images": len(actual),
        "classes": dict(zip(classes, map(_one_class, *each), strict=True)),
        "confusion": confusion_matrix(actual, predicted, labels=labels).tolist(),
    }


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
