"""Types of arrays, and a check of their values."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import InputError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]


def check_finite(name: str, values: FloatArray) -> None:
    """Refuse rows of images with a number that is not finite.

    Raises:
        InputError: saying of how many images.
    """
    if bad := int((~np.isfinite(values)).any(axis=1).sum()):
        raise InputError(f"{name}: not finite for {bad} of {len(values)} images: training diverged; lower `lr`")
