"""Conformal prediction sets: sets of classes that hold the actual one with a promised probability.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Sadinle, Lei and Wasserman 2019 for classes) with the
score 1 - p of the actual class. The promise is of images drawn as the calibration images were.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.compare import units
from pipeline.evaluation.uncertainty.arrays import BoolArray, FloatArray, IntArray

LEVELS = (0.9, 0.95)
# The probability that few calibration images lead to a coverage below the promised one.
RISK = 0.1
# One group alone has none.
LEAST_DEGREES = 0.1


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The largest score of a class in a set.

    Attributes:
        level: the promised coverage.
        images: n, the calibration images.
        rank: k: the threshold is the k-th smallest of their scores; None where n are too few, and every class is in.
        score: the threshold.
        worth: how many independent images they are worth, see `worth_of`; None in a bundle of an older version.
    """

    level: float
    images: int
    rank: int | None
    score: float
    worth: float | None = None


def rank(images: int, level: float, *, risk: float = RISK, worth: float | None = None) -> int | None:
    """Return the smallest rank whose threshold reaches the level with a probability of at least 1 - risk.

    With the k-th smallest of n calibration scores as threshold, the coverage of later images, given those n, is
    distributed as Beta(k, n + 1 - k) (Vovk 2012, Conditional validity of inductive conformal predictors). The usual
    rank, ceil((n + 1) level), reaches the level on average only, and with few images misses it every second time.

    Args:
        images: n.
        level: the promised coverage, between 0 and 1.
        risk: the probability of a lower coverage that is accepted.
        worth: how many independent images they are worth; n by default. The rank of so many is taken to the same place
            among n.

    Returns:
        k, or None where even k = n does not do: below 22 images for 90 %, below 45 for 95 %, at a risk of 0.1.

    >>> rank(21, 0.9), rank(22, 0.9), rank(44, 0.95), rank(45, 0.95), rank(600, 0.9)
    (None, 22, None, 45, 550)
    """
    from scipy.stats import beta

    several = images if worth is None else int(worth)
    ranks = np.arange(1, several + 1)
    enough = np.flatnonzero(beta.sf(level, ranks, several + 1 - ranks) >= 1 - risk)
    return math.ceil(int(ranks[enough[0]]) * images / several) if len(enough) else None


def fewest(level: float) -> int:
    """Return the smallest n with a `rank` at `RISK`: the largest of n scores reaches the level if level^n <= risk.

    >>> fewest(0.9), fewest(0.95)
    (22, 45)
    """
    return math.ceil(math.log(RISK) / math.log(level))


def fit(probabilities: FloatArray, labels: IntArray, *, unit: IntArray | None = None) -> tuple[Threshold, ...]:
    """Return the threshold of each of `LEVELS`.

    Args:
        probabilities: (n, K) of calibration images, which the network was not trained on.
        labels: (n,) their classes.
        unit: (n,) number of the group of images that each belongs to; None where each is on its own.
    """
    worth = float(len(labels)) if unit is None else worth_of(unit)
    scores = np.sort(1 - probabilities[np.arange(len(labels)), labels])
    thresholds = []
    for level in LEVELS:
        place = rank(len(labels), level, worth=worth)
        score = 1.0 if place is None else float(scores[place - 1])
        thresholds.append(Threshold(level=level, images=len(labels), rank=place, score=score, worth=worth))
    return tuple(thresholds)


def worth_of(unit: IntArray) -> float:
    """Return how many independent images the images of groups are worth for a threshold that fails at `RISK`.

    These are `units.effective`, and less where groups are of unequal size: a few large ones among many single images
    decide where the threshold is, and their spread is as good as unknown. The factor is (t / t')^2, of quantiles of
    Student's distribution at it, with `units.effective` - 1 and `units.effective_groups` - 1 degrees of freedom.

    >>> worth_of(np.repeat([0, 1, 2], 20)), round(worth_of(np.repeat(np.arange(604), [1] * 600 + [100] * 4)), 1)
    (3.0, 16.3)
    """
    from scipy.special import stdtrit

    known = units.effective(unit)
    t, wider = (stdtrit(max(n - 1, LEAST_DEGREES), RISK) for n in (known, units.effective_groups(unit)))
    return float(known * min(t / wider, 1) ** 2)


def fit_by_class(
    probabilities: FloatArray, labels: IntArray, *, unit: IntArray | None = None
) -> tuple[tuple[Threshold, ...], ...]:
    """Return the thresholds of each class, from its own images; none where a class has too few for the first level.

    With them the promise holds for every class (Vovk 2012, Mondrian), not for all images together alone.
    """
    by_class = []
    for one in range(probabilities.shape[1]):
        own = labels == one
        of_class = None if unit is None else np.unique(unit[own], return_inverse=True)[1]
        thresholds = fit(probabilities[own], labels[own], unit=of_class) if own.any() else ()
        if not thresholds or thresholds[0].rank is None:
            return ()
        by_class.append(thresholds)
    return tuple(by_class)


def sets(probabilities: FloatArray, scores: FloatArray) -> BoolArray:
    """Return the sets (n, K): the classes whose score is at most the threshold.

    The most probable class is always in, also where no class would be: an empty set is of no use to anyone. So the
    coverage may be above the promised one.

    Args:
        probabilities: (n, K).
        scores: the thresholds, one for all classes or (K,).
    """
    members: BoolArray = 1 - probabilities <= scores
    members[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
    return members
