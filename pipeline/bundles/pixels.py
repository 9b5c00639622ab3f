"""From an image file to the pixels that a bundle's networks take; needs no torch, which workers would wait for."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.bundles.description import Preprocessing
from pipeline.datasets.decoding import images as decoding

# Of JPEGs of small pictures: what a page costs, against what a person sees.
QUALITY = 80


class Decoded(NamedTuple):
    """A decoded file, or why it cannot be used.

    Attributes:
        pixels: uint8 (3, S, S), see `pixels`; None of a file that cannot be used.
        error: the reason; "" of an image.
        thumbnail: a JPEG of the whole picture; empty where none was asked for.
    """

    pixels: NDArray[np.uint8] | None
    error: str
    thumbnail: bytes


def pixels(source: Path | bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Decode and resize an image file, or its content, as `preprocess` does: uint8 (3, S, S), red green blue.

    Raises:
        RefusedError: for one that cannot be used, with the reason.
    """
    return resized(_loaded(source, preprocessing), preprocessing)


def decode(file: Path, preprocessing: Preprocessing, *, thumbnail: int = 0) -> Decoded:
    """Decode an image file; never raises for what is in it.

    Args:
        file: the file.
        preprocessing: of the bundle.
        thumbnail: the longest side of a small picture of it, in pixels; 0 for none.
    """
    try:
        image = _loaded(file, preprocessing)
    except decoding.RefusedError as error:
        return Decoded(None, str(error), b"")
    return Decoded(resized(image, preprocessing), "", _thumbnail(image, thumbnail) if thumbnail else b"")


def _loaded(source: Path | bytes, preprocessing: Preprocessing) -> Image.Image:
    return decoding.load(source, at_least=preprocessing.draft * preprocessing.image_size).image


def resized(image: Image.Image, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return a decoded image as it is packed: uint8 (3, S, S)."""
    resize: decoding.Resize = "crop" if preprocessing.resize == "crop" else "stretch"
    small = decoding.resized(image, preprocessing.image_size, resize, interpolation=preprocessing.interpolation)
    return np.asarray(small).transpose(2, 0, 1)


def _thumbnail(image: Image.Image, side: int) -> bytes:
    """Return an image, which this makes small, as a JPEG."""
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
