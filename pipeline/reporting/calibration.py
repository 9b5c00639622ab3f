"""Whether a network is right as often as it says that it is sure: pure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core.percents import percent
from pipeline.evaluation.compare.repeats import Repeat

BINS = 15


class Bin(NamedTuple):
    """The predictions whose confidence is in (low, high].

    Attributes:
        low: of the bin, 0..1.
        high: likewise.
        predictions: how many there are.
        confidence: their mean; 0 where there is none, and so is `accuracy`.
        accuracy: which part of them is right.
    """

    low: float
    high: float
    predictions: int
    confidence: float
    accuracy: float


def of(repeats: Sequence[Repeat]) -> list[Bin]:
    """Return the test predictions of all repeats by their confidence."""
    rows = [row for one in repeats for row in one.predictions]
    return bins([float(row["confidence"]) for row in rows], [row["correct"] == "1" for row in rows])


def bins(confidence: Sequence[float], correct: Sequence[bool]) -> list[Bin]:
    """Return predictions by their confidence, in 15 bins of equal width.

    Args:
        confidence: of each prediction, in (0, 1].
        correct: whether it is right.

    Source:
        Guo et al. 2017, On Calibration of Modern Neural Networks, section 2.

    >>> bins([0.95, 0.94, 0.2], [True, False, True])[-1]
    Bin(low=0.9333333333333333, high=1.0, predictions=2, confidence=0.945, accuracy=0.5)
    """
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.digitize(sure, edges, right=True) - 1, 0, BINS - 1)
    return [_bin(edges[n], edges[n + 1], sure[place == n], right[place == n]) for n in range(BINS)]


def _bin(low: float, high: float, sure: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> Bin:
    means = (float(sure.mean()), float(right.mean())) if len(sure) else (0.0, 0.0)
    return Bin(float(low), float(high), len(sure), *means)


def most(bins: Sequence[Bin]) -> str:
    """Return the bin that adds most to the calibration error in words, which go on in a sentence.

    >>> most(bins([0.95, 0.94, 0.2], [True, False, False]))
    '2 predictions of 94.5 % mean confidence, of which 50.0 % are right'
    >>> most(bins([0.9], [False]))
    '1 prediction of 90.0 % confidence, which is wrong'
    """
    some = (one for one in bins if one.predictions)
    one = max(some, key=lambda one: abs(one.confidence - one.accuracy) * one.predictions)
    sure = percent(one.confidence)
    if one.predictions == 1:
        return f"1 prediction of {sure} confidence, which is {'right' if one.accuracy else 'wrong'}"
    return f"{one.predictions:,} predictions of {sure} mean confidence, of which {percent(one.accuracy)} are right"
