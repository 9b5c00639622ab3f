"""The frozen probe of an experiment: a logistic regression on its own backbone's features, before any training.

It learns from the images and labels of the training part alone. The test part gives features, and no label.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipeline.assembly.machine import Machine
from pipeline.bank import features, folds, probes
from pipeline.bank.features import Frozen
from pipeline.bank.folds import Examples, IntArray
from pipeline.core import digests, paths
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.records import ModelRecord
from pipeline.datasets.prepared import groups
from pipeline.datasets.prepared.packed import Packed
from pipeline.training import checkpoints

# Features are named by packed pixels, from which nothing else is made.
PACKED = "packed"
# By which its strength is chosen: half of the bank's, for half of the time in every experiment.
DIVISIONS = 1


class Probed(NamedTuple):
    """The probe's predictions.

    Attributes:
        reason: why there is none; empty where there is.
        strength: C, chosen inside the training part; None without a probe.
        predicted: the class (m,) of each test image; none without a probe.
    """

    reason: str
    strength: float | None
    predicted: IntArray


def probed(model: ModelRecord, data: Packed, train: Sequence[int], test: Sequence[int], on: Machine) -> Probed:
    """Return what the probe predicts for test images.

    Args:
        model: the experiment's network and image sizes.
        data: the packed set; the labels of its training rows are read.
        train: rows of the training part.
        test: rows of the test part.
        on: where features are computed.
    """
    if model.network.weights == NONE:
        return _none("the network starts from random values")
    digests.check(paths.SOURCE_WEIGHTS)
    frozen = Frozen(model.network, model.sizes, PACKED, checkpoints.read(paths.SOURCE_WEIGHTS), on)
    rows = [*train, *test]
    made = features.features(frozen, [_digest(data, row) for row in rows], _opener(data, rows)).values
    numbers = groups.numbered([data.paths[row] for row in train], groups.read())
    examples = Examples(made[: len(train)], data.labels[list(train)], numbers)
    try:
        fitted = probes.fitted(probes.LOGISTIC, examples, seed=folds.SEED, repeats=DIVISIONS)
    except InputError:
        return _none("too few training images for a cross-validation")
    return Probed("", fitted.strength, fitted.predict(made[len(train) :]))


def _none(reason: str) -> Probed:
    return Probed(reason, None, np.empty(0, dtype=np.int64))


def _digest(data: Packed, row: int) -> str:
    return hashlib.sha256(data.images[row].tobytes()).hexdigest()


def _opener(data: Packed, rows: Sequence[int]) -> features.OpenImages:
    @contextmanager
    def opened(some: Sequence[int]) -> Iterator[Packed]:
        # Only their pixels are looked at.
        yield replace(data, images=data.images[[rows[place] for place in some]])

    return opened
