"""Scores of images unlike those that a network was trained on, larger for stranger ones."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.compare import units
from pipeline.evaluation.uncertainty.arrays import BoolArray, FloatArray, IntArray, check_finite

# Rows of features that are compared at once, so that memory is bounded.
BLOCK = 1024
# The share of images like those of the training that is called strange, half of it by either score.
FALSE_ALARMS = 0.05
# Images that this takes; of fewer, the largest score is the limit.
FEWEST = 39
# Of few images the nearest tells best; `benchmarks/uncertainty.py` compares others.
NEIGHBORS = 1
# From (n, D) and (D, m) to their product (n, m).
Product = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """How an image is judged strange: by its distance to the training images, or by its energy.

    Attributes:
        neighbors: k: the distance is that to the k-th nearest training image.
        images: training images.
        distance: a larger distance is strange.
        energy: a larger energy is strange.
        from_images: of which images 97.5 % are below either, or all where there are fewer than `FEWEST`:
            `calibration`, or `training`.
        worth: how many independent images those are worth, see `units.effective`; None in a bundle of an older version.
    """

    neighbors: int
    images: int
    distance: float
    energy: float
    from_images: Literal["calibration", "training"]
    worth: float | None = None


class Strangeness(NamedTuple):
    """The two scores (n,) of images, and whether either is above its threshold."""

    distance: FloatArray
    energy: FloatArray
    strange: BoolArray


def normalized(features: FloatArray) -> NDArray[np.float32]:
    """Return features (n, D) of length 1, as float16 holds them; a zero stays zero."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.where(length > 0, length, 1)
    # As they are kept in a bundle, so that a threshold is of the same numbers.
    return unit.astype(np.float16).astype(np.float32)


def distances(
    features: FloatArray,
    reference: FloatArray,
    *,
    neighbors: int,
    unit: IntArray | None = None,
    product: Product = np.matmul,
) -> FloatArray:
    """Return the distance (n,) of each image to its k-th nearest neighbor among the training images.

    Deep nearest neighbors (Sun, Ming, Zhu and Li 2022, ICML): distances of features of length 1, without training.

    Args:
        features: (n, D), `normalized`.
        reference: (m, D) of the training images, `normalized`.
        neighbors: k; the last of m where there are fewer.
        unit: (m,) where the images are the training images themselves, number of the group that each belongs to: its
            own group is left out of an image's neighbors. At least two groups.
        product: of matrices; another's last digits may differ.
    """
    most = len(reference) if unit is None else len(reference) - int(np.bincount(unit).max())
    k = min(neighbors, most) - 1
    result = []
    for start in range(0, len(features) or 1, BLOCK):
        # Of vectors of length 1, the squared distance is 2 - 2 times their product.
        products = product(features[start : start + BLOCK], reference.T)
        if unit is not None:
            products = np.where(unit[start : start + BLOCK, None] == unit, -np.inf, products)
        nearest = -np.partition(-products, k, axis=1)[:, k]
        result.append(np.sqrt(np.maximum(2 - 2 * nearest, 0)))
    return np.concatenate(result)


def energy(logits: FloatArray) -> FloatArray:
    """Return -log sum exp of the logits (n, K), another score (Liu, Wang, Owens and Li 2020, NeurIPS)."""
    given = logits.astype(np.float64)
    largest = given.max(axis=1)
    values: FloatArray = -(largest + np.log(np.exp(given - largest[:, None]).sum(axis=1)))
    return values


def fit(
    reference: FloatArray,
    features: FloatArray,
    logits: FloatArray,
    *,
    held_out: bool,
    unit: IntArray | None = None,
    product: Product = np.matmul,
) -> Outliers:
    """Return how images are judged strange, so that at most 5 % of images like those of the training are, on average.

    That takes `FEWEST` images; of fewer the largest scores are the thresholds, and more are called strange.
    The training images themselves are nearer and surer than new images, as the network was trained on them: where the
    thresholds are theirs, more than 5 % of new images are called strange.

    Args:
        reference: (m, D) features of the training images, `normalized`; m >= 2.
        features: (n, D), `normalized`, of images that the network was not trained on, or `reference` again.
        logits: (n, K) of the same images.
        held_out: whether these are not the training images.
        unit: (n,) number of the group of images that each belongs to; None where each is on its own. Groups then count
            as in `conformal.rank`, and a training image is compared with those of other groups.
        product: of matrices, as `judge` is to have it.

    Raises:
        InputError: for features or logits that are not finite.
    """
    for name, values in (("features", reference), ("features", features), ("logits", logits)):
        check_finite(name, values)
    worth = float(len(features)) if unit is None else units.effective(unit)
    # Without groups, or with all images in one, each is left out by itself.
    others = unit if unit is not None and unit.max() else np.arange(len(features))
    distance = distances(features, reference, neighbors=NEIGHBORS, unit=None if held_out else others, product=product)
    return Outliers(
        neighbors=NEIGHBORS,
        images=len(reference),
        distance=_limit(distance, worth),
        energy=_limit(energy(logits), worth),
        from_images="calibration" if held_out else "training",
        worth=worth,
    )


def _limit(scores: FloatArray, worth: float) -> float:
    """Return the score that at most 2.5 % of other images of the kind exceed on average, of `FEWEST` or more."""
    # The ceil((n + 1) level)-th smallest: the n images and that one are alike, and any of them may be the largest.
    several = int(worth)
    rank = min(math.ceil((several + 1) * (1 - FALSE_ALARMS / 2)), several)
    return float(np.sort(scores)[math.ceil(rank * len(scores) / several) - 1])


def judge(
    fitted: Outliers,
    reference: FloatArray,
    features: FloatArray,
    logits: FloatArray,
    *,
    product: Product = np.matmul,
) -> Strangeness:
    """Return how strange images are.

    Args:
        fitted: the thresholds.
        reference: (m, D) features of the training images, `normalized`.
        features: (n, D) of the images, as the network has them.
        logits: (n, K) of the images.
        product: of matrices, as `fit` had it.
    """
    distance = distances(normalized(features), reference, neighbors=fitted.neighbors, product=product)
    own = energy(logits)
    # What is not a number is strange too.
    return Strangeness(distance, own, ~((distance <= fitted.distance) & (own <= fitted.energy)))
