"""How sure a bundle is: what is kept of held-out images, and its judgment of new ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from pipeline.core.errors import InputError
from pipeline.evaluation.uncertainty import judging, outliers
from pipeline.evaluation.uncertainty.arrays import FloatArray
from pipeline.evaluation.uncertainty.judging import Calibration, Judgment
from pipeline.evaluation.uncertainty.outliers import Outliers

# The features of the training images, whose neighbors tell strange images.
REFERENCE = "reference.safetensors"
FEATURES = "features"


def product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return a product of matrices by torch's threads: NumPy's would wait, for tens of milliseconds, for their end."""
    return (torch.from_numpy(left) @ torch.from_numpy(right)).numpy()


@dataclass(frozen=True)
class Certainty:
    """Calibration, thresholds and features that a bundle judges by.

    Attributes:
        calibration: from images that were held out from training; None where there were none.
        outliers: the thresholds of strange images.
        reference: (m, D) features of the training images, `outliers.normalized`.
    """

    calibration: Calibration | None
    outliers: Outliers
    reference: NDArray[np.float32]

    def judge(self, logits: FloatArray, features: FloatArray) -> Judgment:
        """Return how sure the network is of images.

        Args:
            logits: (n, K).
            features: (n, D), as the network has them.
        """
        strangeness = outliers.judge(self.outliers, self.reference, features, logits, product=product)
        return judging.judge(logits, self.calibration, strangeness)


def parse(
    calibration: Mapping[str, Any] | None, thresholds: Mapping[str, Any] | None, folder: Path
) -> Certainty | None:
    """Return what a bundle judges by; None where it has nothing, as an ensemble.

    Args:
        calibration: as bundle.json has it.
        thresholds: likewise, of strange images.
        folder: of the bundle.

    Raises:
        InputError: for values or a file of another form.
    """
    if thresholds is None:
        return None
    try:
        reference = load_file(folder / REFERENCE)[FEATURES].float().numpy()
        read = None if calibration is None else Calibration.parse(calibration)
        return Certainty(read, Outliers(**thresholds), reference)
    except (KeyError, TypeError, OSError, SafetensorError) as error:
        raise InputError(
            f"{folder}: calibration or outliers in an unknown format ({error}); copy the bundle again"
        ) from None
