"""How well what was fitted on held-out images holds on test images, on which nothing was fitted."""

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.predictions import Predictions, calibration, calibration_error_by_chance
from pipeline.evaluation.scores import nll
from pipeline.evaluation.uncertainty.abstention import risk_coverage
from pipeline.evaluation.uncertainty.arrays import FloatArray, IntArray
from pipeline.evaluation.uncertainty.judging import Judgment


@dataclass(frozen=True, kw_only=True)
class SetsOnTest:
    """Prediction sets of a level: the share of images whose class is in, and the classes in a set on average."""

    level: float
    coverage: float
    classes: float


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Shares of test images, 0..1, but for the number of images and the negative log-likelihood.

    Attributes:
        images: how many they are.
        error: wrong predictions.
        asked: those that a person is asked about.
        error_of_others: wrong predictions among the others.
        risk: the mean error of the surest images, over all shares of them, see `abstention.RiskCoverage`.
        strange: those called strange, of which none is.
        calibration_error: expected calibration error of the network's own probabilities.
        calibration_error_after: of the calibrated ones; the same without calibration.
        nll_after: mean negative log-likelihood of the actual class by the calibrated probabilities.
        calibration_error_by_chance: the mean for as many images of a network whose calibrated probabilities are right.
        sets: by level; empty without calibration.
    """

    images: int
    error: float
    asked: float
    error_of_others: float
    risk: float
    strange: float
    calibration_error: float
    calibration_error_after: float
    nll_after: float
    calibration_error_by_chance: float
    sets: tuple[SetsOnTest, ...]


def assess(judgment: Judgment, logits: FloatArray, labels: IntArray, *, temperature: float) -> Assessment:
    """Return how well a judgment of test images holds.

    Args:
        judgment: of n >= 1 test images.
        logits: theirs (n, K).
        labels: their classes (n,).
        temperature: of the calibration; 1 without.
    """
    correct = logits.argmax(axis=1) == labels
    left = ~judgment.ask
    rows = np.arange(len(labels))
    scaled = logits.astype(np.float64) / temperature
    return Assessment(
        images=len(labels),
        error=float((~correct).mean()),
        asked=float(judgment.ask.mean()),
        error_of_others=float((~correct[left]).mean()) if left.any() else 0.0,
        risk=risk_coverage(judgment.probabilities.max(axis=1), correct).area,
        strange=float(judgment.strangeness.strange.mean()) if judgment.strangeness else 0.0,
        calibration_error=calibration(labels, logits)[0],
        calibration_error_after=calibration(labels, scaled)[0],
        nll_after=nll(Predictions(labels, scaled)),
        calibration_error_by_chance=calibration_error_by_chance(scaled),
        sets=tuple(
            SetsOnTest(
                level=level,
                coverage=float(members[rows, labels].mean()),
                classes=float(members.sum(axis=1).mean()),
            )
            for level, members in judgment.sets.items()
        ),
    )
