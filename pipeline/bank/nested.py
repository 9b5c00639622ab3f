"""How well classifiers do on images like those that they learned from, without any other images.

Each part of a division is set aside, all else happens in the others, the choice of a strength too (nested
cross-validation): so the choice does not flatter the estimate. The interval is that of repeated cross-validation with
Nadeau and Bengio's correction (2003), for training rows that overlap.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from pipeline.bank import folds, probes
from pipeline.bank.folds import Examples, Fold
from pipeline.datasets.decoding.parallel import mapped
from pipeline.evaluation.compare import statistics
from pipeline.evaluation.compare.statistics import NO_SPREAD


class Estimate(NamedTuple):
    """The accuracy of a classifier by nested cross-validation.

    Attributes:
        mean: over the parts.
        low: lower end of the 95 % interval; None where all parts are equal.
        high: upper end.
        parts: the accuracy of each.
        strength: chosen from all examples; None where there is nothing to choose.
    """

    mean: float
    low: float | None
    high: float | None
    parts: tuple[float, ...]
    strength: float | None


def estimates(examples: Examples, *, name: str) -> dict[str, Estimate]:
    """Return the estimate of each row of `PROBES`, the same on any number of cores.

    Args:
        examples: the images, of which no other is touched.
        name: of the bar.

    Raises:
        InputError: for too few images, see `folds.folds`.
    """
    divided = folds.folds(examples.labels, examples.groups, seed=folds.SEED)
    with mapped(functools.partial(accuracies, examples), divided) as computed:
        parts = list(tqdm(computed, name, len(divided), unit=" parts", leave=False, disable=None))
    train, test = (float(np.mean([len(fold[end]) for fold in divided])) for end in (0, 1))
    return {
        kind: _estimate(
            [part[kind] for part in parts],
            probes.fitted(kind, examples, seed=folds.SEED).strength,
            train=train,
            test=test,
        )
        for kind in probes.PROBES
    }


def accuracies(examples: Examples, fold: Fold) -> dict[str, float]:
    """Return the accuracy of each row of `PROBES` on one part, after learning from the others."""
    train, test = (examples.of(rows) for rows in fold)
    return {
        kind: float(np.mean(probes.fitted(kind, train, seed=folds.SEED).predict(test.features) == test.labels))
        for kind in probes.PROBES
    }


def _estimate(parts: list[float], strength: float | None, *, train: float, test: float) -> Estimate:
    mean = float(np.mean(parts))
    if np.std(parts) <= NO_SPREAD:
        return Estimate(mean, None, None, tuple(parts), strength)
    low, high = statistics.interval(parts, train=train, test=test)
    return Estimate(mean, max(0.0, low), min(1.0, high), tuple(parts), strength)


def as_data(estimated: Mapping[str, Estimate]) -> dict[str, dict[str, object]]:
    """Return estimates as plain data."""
    return {name: one._asdict() | {"parts": list(one.parts)} for name, one in estimated.items()}
