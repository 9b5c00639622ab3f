"""How sure the network of a bundle is, fitted on the images that were held out from training."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.assembly import certainty_figures
from pipeline.bundles import bundle
from pipeline.bundles.card import Figure
from pipeline.bundles.certainty import FEATURES, REFERENCE, Certainty, product
from pipeline.bundles.description import Description
from pipeline.core import paths
from pipeline.datasets.prepared import groups
from pipeline.datasets.prepared.packed import Packed
from pipeline.evaluation.uncertainty import judging, outliers
from pipeline.evaluation.uncertainty.assessment import assess
from pipeline.training import checkpoints


class Parts(NamedTuple):
    """Rows of the packed set that train a network, are held out from it, and test it; the last two may be empty."""

    train: Tensor
    held_out: Tensor
    test: Tensor


def parts_of(data: Packed, number: int, *, early_stop: bool) -> Parts:
    """Return the parts of a repeat.

    Its validation images were held out from training. With early stop they chose the epoch, so that the network is
    surer of them than of others: then none is held out.
    """
    assigned = data.assigned(paths.split_file(number))
    parts = Parts(*(torch.tensor(assigned[part], dtype=torch.long) for part in ("train", "val", "test")))
    return parts._replace(held_out=parts.held_out[:0]) if early_stop else parts


def unit_of(images: Sequence[str]) -> NDArray[np.int64] | None:
    """Return the number (n,) of each image's group, copies of one photograph too; None where each is on its own."""
    unit = groups.numbered(images, groups.read())
    return unit if len(np.unique(unit)) < len(images) else None


class Fitted(NamedTuple):
    """A bundle's description with what is fitted, and the figures of its card; none without test images."""

    description: Description
    figures: tuple[Figure, ...]


def write(folder: Path, network: bundle.Bundle, description: Description, data: Packed, parts: Parts) -> Fitted:
    """Write the training images' features and the card's figures into a bundle's folder, and return what is fitted.

    Nothing is fitted on test images: they only say how well what was fitted holds, and the figures are of them alone.

    Args:
        folder: of the bundle, which has its weights already.
        network: assembled from there.
        description: what it says of itself so far.
        data: the packed set.
        parts: its rows.
    """

    def outputs(rows: Tensor) -> bundle.Outputs:
        return network.run(data.images[rows.numpy()])

    trained_on = outputs(parts.train)
    reference = outliers.normalized(trained_on.features)
    checkpoints.save({FEATURES: torch.from_numpy(reference).half()}, folder / REFERENCE)
    if len(parts.held_out):
        held_out = outputs(parts.held_out)
        features = outliers.normalized(held_out.features)
        rows = parts.held_out.numpy()
        unit = unit_of([data.paths[row] for row in rows])
        calibration = judging.fit(held_out.logits[0], data.labels[rows], unit)
        strange = outliers.fit(reference, features, held_out.logits[0], held_out=True, unit=unit, product=product)
    else:
        calibration = None
        unit = unit_of([data.paths[row] for row in parts.train.tolist()])
        logits = trained_on.logits[0]
        strange = outliers.fit(reference, reference, logits, held_out=False, unit=unit, product=product)
    description = replace(
        description, calibration=asdict(calibration) if calibration else None, outliers=asdict(strange)
    )
    if not len(parts.test):
        return Fitted(description, ())
    tested, labels = outputs(parts.test), data.labels[parts.test.numpy()]
    judgment = Certainty(calibration, strange, reference).judge(tested.logits[0], tested.features)
    temperature = calibration.temperature if calibration else 1.0
    assessment = assess(judgment, tested.logits[0], labels, temperature=temperature)
    figures = certainty_figures.write(
        folder, judgment, tested.logits[0], labels, assessment=assessment, fitted=calibration
    )
    return Fitted(replace(description, on_test=asdict(assessment)), figures)
