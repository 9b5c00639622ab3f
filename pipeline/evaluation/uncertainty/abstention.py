"""Errors that remain where a person looks at the images of which a network is least sure."""

from typing import NamedTuple

import numpy as np

from pipeline.evaluation.uncertainty.arrays import BoolArray, FloatArray


class RiskCoverage(NamedTuple):
    """The error among the images of which a network is surest, as their share grows.

    Attributes:
        coverage: (n,) the share of images that are left to the network, 1/n to 1.
        risk: (n,) the share of errors among them.
        area: the mean risk over all shares (AURC; Geifman, Uziel and El-Yaniv 2019); 0 is best.
    """

    coverage: FloatArray
    risk: FloatArray
    area: float


def risk_coverage(confidence: FloatArray, correct: BoolArray) -> RiskCoverage:
    """Return the curve of images in descending order of their confidence.

    Images of one confidence have no order: the risk among them is the mean over all orders.

    Args:
        confidence: (n,) any number that is larger for surer predictions; n >= 1.
        correct: (n,) whether the prediction is right.

    >>> risk_coverage(np.array([0.9, 0.8, 0.6]), np.array([True, True, False])).risk.round(3).tolist()
    [0.0, 0.0, 0.333]
    """
    _, place, equal = np.unique(-confidence, return_inverse=True, return_counts=True)
    errors = np.bincount(place, weights=~correct) / equal
    count = np.arange(1, len(confidence) + 1)
    risk = np.cumsum(np.repeat(errors, equal)) / count
    return RiskCoverage(count / len(confidence), risk, float(risk.mean()))
