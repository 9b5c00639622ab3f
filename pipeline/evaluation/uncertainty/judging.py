"""How sure a network is of an image: fitted on held-out images, applied to new ones with NumPy alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.uncertainty import conformal, temperature
from pipeline.evaluation.uncertainty.arrays import BoolArray, FloatArray, IntArray
from pipeline.evaluation.uncertainty.conformal import Threshold
from pipeline.evaluation.uncertainty.outliers import Strangeness

# The level of the sets by which a person is asked.
ASKED_AT = conformal.LEVELS[0]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Findings about a network's probabilities on images that were held out from training.

    Attributes:
        images: how many they are.
        temperature: by which logits are divided.
        thresholds: of the prediction sets, one a level.
        by_class: the thresholds of each class; empty where a class has too few of them.
        risk: the probability that the sets' coverage is below their level, see `conformal.rank`.
    """

    images: int
    temperature: float
    thresholds: tuple[Threshold, ...]
    by_class: tuple[tuple[Threshold, ...], ...]
    risk: float

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "Calibration":
        """Return what was kept as plain data; raises KeyError or TypeError for other data."""
        thresholds = tuple(Threshold(**one) for one in values["thresholds"])
        by_class = tuple(tuple(Threshold(**one) for one in each) for each in values["by_class"])
        return cls(**{**values, "thresholds": thresholds, "by_class": by_class})


@dataclass(frozen=True)
class Judgment:
    """How sure a network is of n images.

    Attributes:
        probabilities: (n, K); of the network as it is where nothing calibrates it.
        sets: (n, K) by level; empty without calibration.
        by_class: (n, K) by level, with the promise for every class; empty where there is none.
        strangeness: how unlike the training images they are; None where nothing tells.
        ask: (n,) whether a person should look: the 90 % set has several classes, or the image is strange.
    """

    probabilities: NDArray[np.float64]
    sets: Mapping[float, BoolArray]
    by_class: Mapping[float, BoolArray]
    strangeness: Strangeness | None
    ask: BoolArray


def fit(logits: FloatArray, labels: IntArray, unit: IntArray | None = None) -> Calibration:
    """Return what held-out images say about a network's probabilities.

    Args:
        logits: (n, K) of images that this very network was not trained on; n >= 1.
        labels: (n,) their classes.
        unit: as for `conformal.fit`.
    """
    scale = temperature.fit(logits, labels)
    shares = temperature.probabilities(logits, scale)
    return Calibration(
        images=len(labels),
        temperature=scale,
        thresholds=conformal.fit(shares, labels, unit=unit),
        by_class=conformal.fit_by_class(shares, labels, unit=unit),
        risk=conformal.RISK,
    )


def judge(logits: FloatArray, calibration: Calibration | None, strangeness: Strangeness | None = None) -> Judgment:
    """Return how sure a network is of new images.

    Args:
        logits: (n, K).
        calibration: what held-out images say; None where there were none: then nothing is promised.
        strangeness: of the same images, as `outliers.judge` gives it.
    """
    shares = temperature.probabilities(logits, calibration.temperature if calibration else 1.0)
    sets, by_class = {}, {}
    if calibration:
        sets = {one.level: conformal.sets(shares, np.asarray(one.score)) for one in calibration.thresholds}
        for place, level in enumerate(conformal.LEVELS if calibration.by_class else ()):
            scores = np.array([each[place].score for each in calibration.by_class])
            by_class[level] = conformal.sets(shares, scores)
    ask = sets[ASKED_AT].sum(axis=1) > 1 if sets else np.zeros(len(shares), dtype=bool)
    if strangeness:
        ask = ask | strangeness.strange
    return Judgment(shares, sets, by_class, strangeness, ask)
