"""Predictions on a test part, with confusion matrix, precision, recall and calibration; reads no file.

Counts and quotients of counts are equal to scikit-learn's to the last bit, as the tests check. They are computed here
because importing scikit-learn's takes most of the time that importing torch does.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

# Bins of the confidence, of equal width, as in Guo et al. 2017.
BINS = 15
# Of images that are right by chance.
DRAWS = 200


class Bin(NamedTuple):
    """The predictions whose confidence is in (low, high].

    Attributes:
        low: of the bin, 0..1.
        high: likewise.
        images: how many there are, each once a repeat; at least one.
        confidence: their mean.
        accuracy: which part of them is right.
    """

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Predictions:
    """Actual classes and logits of test images; statistics that several scores need are computed once.

    Attributes:
        actual: (n,) class index of each image; n >= 1.
        logits: (n, K); of equal largest values the first is the prediction.
    """

    actual: IntArray
    logits: FloatArray

    @cached_property
    def confusion(self) -> IntArray:
        """Images (K, K) by actual (rows) and predicted (columns) class."""
        return confusion(self.actual, np.argmax(self.logits, axis=1), self.logits.shape[1])

    @property
    def right(self) -> IntArray:
        """Right predictions (K,) by class."""
        return np.diag(self.confusion)

    @property
    def predicted(self) -> IntArray:
        """Images (K,) by predicted class."""
        counts: IntArray = self.confusion.sum(axis=0)
        return counts

    @property
    def support(self) -> IntArray:
        """Images (K,) by actual class."""
        counts: IntArray = self.confusion.sum(axis=1)
        return counts

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Fraction (K,) of right predictions among those of a class."""
        return _quotient(self.right, self.predicted)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Fraction (K,) of right predictions among the images of a class."""
        return _quotient(self.right, self.support)

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Harmonic mean (K,) of precision and recall."""
        return _quotient(2 * self.right, self.support + self.predicted)

    @cached_property
    def calibration(self) -> tuple[float, list[dict[str, Any]]]:
        """Calibration error and reliability table, see `calibration`."""
        return calibration(self.actual, self.logits)


def confusion(actual: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Count the images (K, K) by actual (rows) and predicted (columns) class.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    # Each pair of classes is one number, which bincount counts.
    return np.bincount(actual * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _quotient(part: IntArray, whole: IntArray) -> npt.NDArray[np.float64]:
    """Return the quotient; 0/0 is 0."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def calibration(actual: IntArray, logits: FloatArray) -> tuple[float, list[dict[str, Any]]]:
    """Compute the expected calibration error and the reliability table.

    The error is that of Naeini, Cooper and Hauskrecht (2015, AAAI) in the form of Guo et al. (2017, On Calibration of
    Modern Neural Networks, eq. 3): 15 bins (low, high] of the confidence, which is the largest softmax probability,
    and the mean over the images of |accuracy - confidence| of their bin.

    Args:
        actual: (n,) as for `Predictions`.
        logits: (n, K) as for `Predictions`.

    Returns:
        The error, 0..1, and the table of the reliability diagram: for each bin with images low, high, images, mean
        confidence and accuracy.

    >>> error, table = calibration(np.array([0, 0]), np.log([[0.75, 0.25], [0.25, 0.75]]))
    >>> round(error, 6), len(table), table[0]["images"]
    (0.25, 1, 2)
    """
    bins = reliability(_confidence(logits), np.argmax(logits, axis=1) == actual)
    gaps = (one.images * abs(one.accuracy - one.confidence) for one in bins)
    return float(sum(gaps) / len(actual)), [one._asdict() for one in bins]


def reliability(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> list[Bin]:
    """Return predictions by their confidence, in 15 bins of equal width, of which those without any are left out.

    Args:
        confidence: (n,) of each prediction, in (0, 1].
        right: (n,) whether it is.

    >>> reliability(np.array([0.95, 0.94, 0.2]), np.array([True, False, True]))[-1]
    Bin(low=0.9333333333333333, high=1.0, images=2, confidence=0.945, accuracy=0.5)
    """
    place = _places(confidence)
    members = ((part, place == part) for part in np.unique(place).tolist())
    return [
        Bin(part / BINS, (part + 1) / BINS, int(own.sum()), float(confidence[own].mean()), float(right[own].mean()))
        for part, own in members
    ]


def calibration_error_by_chance(logits: FloatArray) -> float:
    """Return the mean calibration error, see `calibration`, of as many images if every confidence is right.

    The error is a mean of absolute values, so that few images make it large for any network (Kumar, Liang and Ma 2019,
    Verified Uncertainty Calibration, on its bias). Images are drawn to be right with the probability of their
    confidence, `DRAWS` times.

    Args:
        logits: (n, K) as for `Predictions`.

    >>> round(calibration_error_by_chance(np.log([[0.5, 0.5]])), 6)
    0.5
    """
    confidence = _confidence(logits)
    place = _places(confidence)
    right = np.random.default_rng(0).random((DRAWS, len(confidence))) < confidence
    members = place == np.unique(place)[:, None]
    return float(np.abs((right - confidence) @ members.T).sum(1).mean() / len(confidence))


def _confidence(logits: FloatArray) -> npt.NDArray[np.float64]:
    largest: npt.NDArray[np.float64] = softmax(logits.astype(np.float64), axis=1).max(axis=1)
    return largest


def _places(confidence: npt.NDArray[np.float64]) -> IntArray:
    """Return the number of the bin of each confidence."""
    # From the left: a confidence on an edge is in the lower bin.
    return np.searchsorted(np.arange(1, BINS) / BINS, confidence, side="left")
