"""The frozen probe of an experiment: a logistic regression on its own backbone's features, before any training.

It learns from the images and labels of the training part alone. The test part gives features, and no label.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.assembly.machine import Machine
from pipeline.bank import features, folds, probes
from pipeline.bank.features import Frozen
from pipeline.bank.folds import Examples, FloatArray, IntArray
from pipeline.core import digests, paths, result_cache
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
RESULT = "result.json"
BAR = "evaluate: frozen probe"


class Probed(NamedTuple):
    """The probe's predictions.

    Attributes:
        reason: why there is none; empty where there is.
        strength: C, chosen inside the training part; None without a probe.
        predicted: the class (m,) of each test image; none without a probe.
        remark: what is unusual about how its strength was chosen; empty where nothing is.
    """

    reason: str
    strength: float | None
    predicted: IntArray
    remark: str = ""


def probed(model: ModelRecord, data: Packed, train: Sequence[int], test: Sequence[int], on: Machine) -> Probed:
    """Return what the probe predicts for test images, from the store where it is in it.

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
    images = [_digest(data, row) for row in rows]
    numbers = groups.numbered([data.paths[row] for row in train], groups.read())

    def write(file: Path) -> None:
        made = features.features(frozen, images, _opener(data, rows)).values
        examples = Examples(made[: len(train)], data.labels[list(train)], numbers)
        file.write_text(json.dumps(_outcome(examples, made[len(train) :])) + "\n", encoding="utf-8")

    name = result_cache.key(
        "probe",
        {
            # Any change of code or versions changes this one.
            "features": frozen.key(),
            "train": images[: len(train)],
            "test": images[len(train) :],
            "labels": data.labels[list(train)].tolist(),
            "groups": numbers.tolist(),
            "strengths": probes.PROBES[probes.LOGISTIC].strengths,
        },
    )
    content = json.loads(digests.read(result_cache.found_or_made(name, RESULT, write)[0]))
    return Probed(**content | {"predicted": np.array(content["predicted"], dtype=np.int64)})


def _outcome(examples: Examples, test: FloatArray) -> dict[str, Any]:
    """Return the fields of `Probed` as plain data, for a probe of training images and features of test images."""
    short = probes.is_long(examples)
    try:
        fitted = probes.fitted(probes.LOGISTIC, examples, seed=folds.SEED, repeats=DIVISIONS, short=short, bar=BAR)
    except InputError:
        reason = "too few training images for a cross-validation"
        return {"reason": reason, "strength": None, "predicted": []}
    remark = probes.SHORTENED if short else ""
    return {"reason": "", "strength": fitted.strength, "predicted": fitted.predict(test).tolist(), "remark": remark}


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
