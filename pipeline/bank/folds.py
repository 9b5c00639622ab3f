"""Folds for cross-validation: stratified by class, with copies and groups in one fold."""

import warnings
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.core import seeding
from pipeline.core.counting import counted
from pipeline.core.errors import InputError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Fold = tuple[IntArray, IntArray]

# Parts of a division: as many as the smallest class has different images, within these ends.
MOST, LEAST = 5, 2
# Divisions of which a cross-validation is the mean.
REPEATS = 2
# The seed of the divisions.
SEED = 0


@dataclass(frozen=True, eq=False)
class Examples:
    """Images that a classifier learns from.

    Attributes:
        features: (n, D).
        labels: (n,) number of each image's class.
        groups: (n,) a number for each group of copies, and one of its own for every other image.
    """

    features: FloatArray
    labels: IntArray
    groups: IntArray

    def of(self, rows: IntArray) -> "Examples":
        """Return some of them."""
        return Examples(self.features[rows], self.labels[rows], self.groups[rows])


def smallest_class(labels: IntArray, groups: IntArray) -> tuple[int, int]:
    """Return the class with the fewest different images, copies counted once, and how many these are."""
    different: dict[int, set[int]] = defaultdict(set)
    for label, group in zip(labels.tolist(), groups.tolist(), strict=True):
        different[label].add(group)
    label = min(different, key=lambda one: (len(different[one]), one))
    return label, len(different[label])


def count(labels: IntArray, groups: IntArray) -> int:
    """Return into how many parts images are divided.

    >>> count(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 4, 4]))
    2
    """
    return min(MOST, max(LEAST, smallest_class(labels, groups)[1]))


def folds(labels: IntArray, groups: IntArray, *, seed: int, repeats: int = REPEATS) -> list[Fold]:
    """Return the rows to learn from and to judge by, (train, test), of every part of some divisions.

    A class with a single image is in the training rows of all parts but one.

    Args:
        labels: (n,) number of each image's class.
        groups: (n,) as `Examples` has them.
        seed: of the divisions.
        repeats: how many divisions.

    Raises:
        InputError: where some training rows would be of one class alone.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    divided = []
    for number in range(repeats):
        parts = StratifiedGroupKFold(count(labels, groups), shuffle=True, random_state=_seed(seed, number))
        with warnings.catch_warnings():
            # Of classes with fewer images than parts: `remark` says so once.
            warnings.simplefilter("ignore", UserWarning)
            try:
                divided += list(parts.split(labels, labels, groups))
            except ValueError:
                raise _too_few() from None
    if any(len(np.unique(labels[train])) < 2 or not len(test) for train, test in divided):
        raise _too_few()
    return divided


def _seed(*parts: int) -> int:
    """Return a seed for scikit-learn, which takes 32 bits."""
    return seeding.derive("folds", *parts) % 2**32


def _too_few() -> InputError:
    return InputError(
        "bank: too few training images for a cross-validation, which needs two classes with four different ones "
        "each; bring more, or a smaller defaults.data.split.test"
    )


def remark(labels: IntArray, groups: IntArray, classes: list[str]) -> str:
    """Return what small classes do to the cross-validation; empty where nothing."""
    label, images = smallest_class(labels, groups)
    if images >= MOST:
        return ""
    some = "" if images >= 2 * LEAST else ", and some have no image of it to learn from"
    number = f"{counted(images, 'different training image')}, each group counted once"
    return f"class {classes[label]!r} has {number}: {count(labels, groups)} parts in place of {MOST}{some}"
