"""Calibration of test predictions: confidence against accuracy; pure."""

from collections.abc import Sequence

import numpy as np

from pipeline.core.percents import percent
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.evaluation.predictions import Bin, reliability


def of(repeats: Sequence[Repeat]) -> list[Bin]:
    """Return the test predictions of all repeats by their confidence."""
    rows = [row for one in repeats for row in one.predictions]
    return reliability(
        np.array([float(row["confidence"]) for row in rows]), np.array([row["correct"] == "1" for row in rows])
    )


def most(bins: Sequence[Bin]) -> str:
    """Return the bin that adds most to the calibration error in words, which go on in a sentence.

    >>> most(reliability(np.array([0.95, 0.94, 0.2]), np.array([True, False, False])))
    '2 predictions of 94.5 % mean confidence, of which 50.0 % are right'
    >>> most(reliability(np.array([0.9]), np.array([False])))
    '1 prediction of 90.0 % confidence, which is wrong'
    """
    one = max(bins, key=lambda one: abs(one.confidence - one.accuracy) * one.images)
    sure = percent(one.confidence)
    if one.images == 1:
        return f"1 prediction of {sure} confidence, which is {'right' if one.accuracy else 'wrong'}"
    return f"{one.images:,} predictions of {sure} mean confidence, of which {percent(one.accuracy)} are right"
