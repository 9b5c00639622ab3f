"""Answers to images that come from outside: checked against limits, and with probabilities by the classes' names."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.applying import predicted
from pipeline.bundles.bundle import Bundle
from pipeline.bundles.predictions import Prediction
from pipeline.core.errors import InputError
from pipeline.datasets.decoding.images import RefusedError

# Limits of one request. An image of more pixels than Pillow's own limit, 89 million, is refused as elsewhere.
MOST_IMAGES = 64
MOST_BYTES = 20 * 1024 * 1024
# The only folder whose files a request may name; without it, none.
FOLDER = "ORBWEAVER_SERVED_FOLDER"
# Classes in `top`.
TOP = 3


def source(row: Mapping[str, Any], number: int) -> Path | bytes:
    """Return the image of a row: the content of a file, or its path where such are allowed.

    Raises:
        InputError: for a row with none or both, and for a path that is not allowed.
    """
    content, name = row.get("image"), row.get("path")
    if isinstance(content, bytes) and not isinstance(name, str):
        return content
    if isinstance(content, bytes) or not isinstance(name, str):
        raise InputError(f"image {number}: either the bytes of a file in `image` or its `path` is needed")
    if not (allowed := os.environ.get(FOLDER)):
        raise InputError(f"image {number}: paths are not accepted; send the file's bytes, or set {FOLDER}")
    folder = Path(allowed).resolve()
    # A NUL, which no path can have, is a ValueError of `resolve`.
    file = None if "\0" in name else (folder / name).resolve()
    if file is None or not file.is_relative_to(folder):
        raise InputError(f"image {number}: its path leads out of the folder that is served")
    return file


def batch_size(name: str, value: str) -> int | None:
    """Return the number of images a batch that a variable asks for; None where it is empty.

    Raises:
        InputError: for what is no whole number of at least 1.
    """
    if not value:
        return None
    if not value.isdecimal() or int(value) < 1:
        raise InputError(f"{name}: {value!r}: a whole number of at least 1 is needed")
    return int(value)


def answers(
    loaded: Bundle, images: Sequence[Path | bytes], *, top: int = TOP, batch_size: int | None = None
) -> list[dict[str, Any]]:
    """Return class, probability, the `top` classes and all probabilities of each image, as `predict` has them.

    Args:
        loaded: the bundle.
        images: files, or their content; from 1 to 64.
        top: how many classes `top` has; at least 1, all where there are fewer.
        batch_size: images a batch; None for that of `evaluate`, to which fewer images are padded.

    Raises:
        InputError: for too many images, one that is too large or cannot be read, which it names by its row.
    """
    if not 1 <= len(images) <= MOST_IMAGES:
        raise InputError(f"{len(images)} images: from 1 to {MOST_IMAGES} are accepted per request")
    if top < 1:
        raise InputError(f"top: {top} is not a whole number of at least 1")
    packed = np.stack([_pixels(loaded, image, row) for row, image in enumerate(images)])
    classes = loaded.description.classes
    return [_answer(one, classes, top) for one in predicted(loaded, packed, top=len(classes), batch_size=batch_size)]


def _pixels(loaded: Bundle, image: Path | bytes, row: int) -> NDArray[np.uint8]:
    try:
        size = image.stat().st_size if isinstance(image, Path) else len(image)
        if size > MOST_BYTES:
            raise InputError(f"image {row}: {size:,} bytes; at most {MOST_BYTES:,} are accepted")
        return loaded.pixels(image)
    except (RefusedError, OSError) as error:
        reason = str(error) if isinstance(error, RefusedError) else error.strerror
        raise InputError(f"image {row}: {reason}") from None


def _answer(one: Prediction, classes: Sequence[str], top: int) -> dict[str, Any]:
    by_name = dict(one.top)
    return {
        "class": one.label,
        "probability": one.probability,
        "top": [{"class": label, "probability": probability} for label, probability in one.top[:top]],
        "probabilities": {name: by_name[name] for name in classes},
    }
