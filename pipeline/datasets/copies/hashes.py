"""Near duplicates by hashes: the same image encoded anew, resized, slightly cropped or brightened.

Two perceptual hashes (pHash, dHash) of every image select candidate pairs. Two candidates are duplicates if the fine
detail of their gray thumbnails correlates, at one of several small crops. Hashes alone do not suffice: two photographs
of the same kind of object may have equal hashes, but their detail differs.
"""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from pipeline.core import progress
from pipeline.datasets.decoding import images
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared.manifest import Row

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

# Largest number of different bits, of 128, between candidates. A random crop by 5 % stays below in 99.8 % of 1,313
# photographs and all of 300 drawings, as does one in a thousand pairs of different images.
_BITS_APART = 30
# Smallest correlation of detail between duplicates. It is exceeded by 96.5 % of random crops by 5 %, both of 200
# photographs and of 200 drawings, and by none of the 601 pairs of those 1,313 photographs that are candidates by their
# hashes (0.863 at most).
_SAME_DETAIL = 0.9

_THUMBNAIL, _CROPPED = 48, 32
_BLUR = 3.0
# Side of a crop as a fraction of the image's side, and number of its positions along each side.
_CROPS = ((1.0, 1), (0.975, 2), (0.95, 5), (0.9, 5))
# The detail of a flat image is noise: less than half a gray level counts as none.
_FLAT = 0.5 * _CROPPED

_MATRIX_ENTRIES = 16_000_000
_BLOCK_IMAGES = 64


class Print(NamedTuple):
    """Hashes and detail of one image.

    Attributes:
        bits: pHash and dHash, 0 or 1 (128,).
        detail: gray thumbnail minus its blurred copy (48, 48).
    """

    bits: npt.NDArray[np.uint8]
    detail: Halves


def near(rows: Sequence[Row], folder: Path, compared: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs of near duplicates, as indices of the rows, the lower first, with all cores.

    Args:
        rows: the manifest.
        folder: the folder that its paths are relative to.
        compared: indices of rows of different bytes.
    """
    work = functools.partial(digest, folder)
    prints = []
    with (
        mapped(work, [rows[index].path for index in compared]) as results,
        progress.bar(len(compared), "copies: hashes", "images") as shown,
    ):
        for result in results:
            prints.append(result)
            shown.update()
    return [(compared[one], compared[other]) for one, other in pairs(prints)]


def digest(folder: Path, path: str) -> Print:
    """Return hashes and detail of one image.

    Raises:
        RefusedError: if the image cannot be read.
    """
    gray = images.load(folder / path, at_least=2 * _THUMBNAIL, check=False).image.convert("L")
    thumbnail = gray.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    hashes = [imagehash.phash(thumbnail).hash, imagehash.dhash(thumbnail).hash]
    pixels = np.asarray(thumbnail, np.float32)
    # Without the coarse brightness, which different images of one kind share.
    detail = pixels - ndimage.gaussian_filter(pixels, _BLUR)
    return Print(np.concatenate([bits.ravel() for bits in hashes]).astype(np.uint8), detail.astype(np.float16))


def pairs(prints: Sequence[Print]) -> list[tuple[int, int]]:
    """Return the pairs of near duplicates, as indices of the sequence, the lower first; memory is bounded.

    Each image in turn is cropped and compared with the whole images whose hashes are near its own.
    """
    details = np.stack([one.detail for one in prints])  # (N, 48, 48)
    blocks = range(0, len(details), _BLOCK_IMAGES)
    wholes = np.concatenate([_whole(details[start : start + _BLOCK_IMAGES]) for start in blocks])
    duplicates: set[tuple[int, int]] = set()
    for one, others in _candidates(2 * np.stack([one.bits for one in prints]).astype(np.float32) - 1):
        crops = _vectors(_cropped(details[one].astype(np.float32)))  # (crops, 1024)
        for start in range(0, len(others), _BLOCK_IMAGES):
            block = others[start : start + _BLOCK_IMAGES]
            # einsum, as matmul would start threads, which takes longer than so small a product.
            correlation = np.einsum("ck,ok->oc", crops, wholes[block].astype(np.float32)).max(axis=1)
            same = block[correlation >= _SAME_DETAIL]
            duplicates |= {(min(one, other), max(one, other)) for other in same.tolist()}
    return sorted(duplicates)


def _candidates(signs: Floats) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Yield every image with the others whose hashes are near its own, if there are any.

    Shape:
        signs: hashes as -1 and 1 (N, 128).
    """
    # The product of two hashes is 128 minus twice the number of different bits.
    least = signs.shape[1] - 2 * _BITS_APART
    # Blocks of rows bound the memory of the product.
    step = max(_MATRIX_ENTRIES // len(signs), 1)
    for start in range(0, len(signs), step):
        for one, near in enumerate(signs[start : start + step] @ signs.T >= least, start=start):
            near[one] = False
            if near.any():
                yield one, np.flatnonzero(near)


@functools.cache
def _samplers() -> tuple[Floats, ...]:
    """Return, per crop size, the matrices (positions, 32, 48) that average a side's 48 pixels to 32.

    The first crop size is the whole image.
    """
    edges = np.arange(_THUMBNAIL)
    samplers = []
    for fraction, positions in _CROPS:
        starts = np.linspace(0, 1 - fraction, positions)[:, None, None] * _THUMBNAIL
        pixel = fraction * _THUMBNAIL / _CROPPED
        low = starts + pixel * np.arange(_CROPPED)[:, None]
        overlap = np.clip(np.minimum(low + pixel, edges + 1) - np.maximum(low, edges), 0, None)
        samplers.append((overlap / pixel).astype(np.float32))
    return tuple(samplers)


def _cropped(detail: Floats) -> Floats:
    """Return every crop (crops, 32, 32) of one image's detail (48, 48)."""
    crops = [(sampler @ detail)[:, None] @ sampler.transpose(0, 2, 1) for sampler in _samplers()]
    return np.concatenate([crop.reshape(-1, _CROPPED, _CROPPED) for crop in crops])


def _whole(details: Halves) -> Halves:
    """Return the detail (N, 48, 48) of whole images as unit vectors (N, 1024)."""
    (sampler,) = _samplers()[0]
    shrunk: Floats = sampler @ details.astype(np.float32) @ sampler.T
    return _vectors(shrunk).astype(np.float16)


def _vectors(crops: Floats) -> Floats:
    """Return crops (N, 32, 32) as vectors (N, 1024) of mean 0 and length 1, or less for flat images."""
    flat = crops.reshape(len(crops), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    lengths: Floats = np.linalg.norm(flat, axis=1)
    vectors: Floats = flat / np.maximum(lengths, _FLAT)[:, None]
    return vectors
