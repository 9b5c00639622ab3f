"""Which images of a set are one and the same: byte for byte, or after encoding, resizing, a small crop or brightening.

Two perceptual hashes (pHash, dHash) of every image say which pairs are worth a look, and the fine detail of two grey
thumbnails, the one laid upon the other at several small crops, says whether they are one image. Two photographs
of the same kind of thing have equal hashes at times, yet other detail.
"""

import functools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage, sparse
from tqdm import tqdm

from pipeline.datasets.decoding import images
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared.manifest import Alike, Row

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

# Below this side in pixels there is no detail by which to tell one image from another of its kind.
SMALLEST = 32
# Every pair of hashes is compared, so a set that is much larger would take hours.
MOST = 100_000

# Of 128 bits. A random crop by 5 % changed at most so many of 99.8 % of 1,313 photographs and of all of 300 drawings,
# and one pair of different images in a thousand is as near.
_BITS_APART = 30
# Of random crops by 5 %, of 200 photographs and 200 drawings, 96.5 % each correlate better than this; of the 601 pairs
# of those 1,313 photographs that hashes call alike, none does (0.863 at most).
_SAME_DETAIL = 0.9

_THUMBNAIL, _LOOK = 48, 32
_BLUR = 3.0
# Sides of a crop as parts of the whole image's, and how many places of it are tried along each side.
_CROPS = ((1.0, 1), (0.975, 2), (0.95, 5), (0.9, 5))
# In a flat image what is left is noise: less than half a grey level counts as none.
_FLAT = 0.5 * _LOOK

_MATRIX_ENTRIES = 16_000_000
_LOOKED_AT_ONCE = 64


class Print(NamedTuple):
    """One image in small.

    Attributes:
        bits: 128 of 0 and 1, pHash and dHash.
        detail: what a blur takes away of the grey image, (48, 48); it says more than large areas do.
    """

    bits: npt.NDArray[np.uint8]
    detail: Halves


def find(rows: Sequence[Row], folder: Path) -> list[Alike]:
    """The images that have a copy, or a near one, among a set's images, on all cores.

    Images with a side below 32 pixels, and all of more than 100,000 different ones, are compared byte for byte alone.

    Args:
        rows: the manifest.
        folder: where its paths begin.

    Returns:
        Groups of two images and more, the first of each without a kind, in the rows' order.
    """
    copies: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        copies[row.sha256].append(place)
    links = [(same[0], other) for same in copies.values() for other in same[1:]]
    exact = {other for _, other in links}
    links += _near(rows, folder, [same[0] for same in copies.values()])
    return _told(rows, links, exact)


def is_compared(rows: Sequence[Row]) -> bool:
    """Whether near duplicates are looked for at all in a set of this size."""
    return len({row.sha256 for row in rows}) <= MOST


def _near(rows: Sequence[Row], folder: Path, different: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of near duplicates among rows of different bytes, as places in the rows, the lower first."""
    compared = [place for place in different if min(rows[place].width, rows[place].height) >= SMALLEST]
    if len(compared) < 2 or len(different) > MOST:
        return []
    work = functools.partial(digest, folder)
    with mapped(work, [rows[place].path for place in compared]) as results:
        prints = list(tqdm(results, "compare", len(compared), unit=" images", disable=None))
    return [(compared[one], compared[other]) for one, other in pairs(prints)]


def digest(folder: Path, path: str) -> Print:
    """What is compared of one image.

    Raises:
        RefusedError: where the image cannot be read.
    """
    grey = images.load(folder / path, at_least=2 * _THUMBNAIL).image.convert("L")
    thumbnail = grey.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    hashes = [imagehash.phash(thumbnail).hash, imagehash.dhash(thumbnail).hash]
    pixels = np.asarray(thumbnail, np.float32)
    detail = pixels - ndimage.gaussian_filter(pixels, _BLUR)
    return Print(np.concatenate([bits.ravel() for bits in hashes]).astype(np.uint8), detail.astype(np.float16))


def pairs(prints: Sequence[Print]) -> list[tuple[int, int]]:
    """The pairs of near duplicates, as places in the sequence, the lower first; memory is bounded.

    Each image is taken for the whole one in turn, and those with a hash near its own for crops of it.
    """
    details = np.stack([one.detail for one in prints])
    blocks = range(0, len(details), _LOOKED_AT_ONCE)
    wholes = np.concatenate([_whole(details[start : start + _LOOKED_AT_ONCE]) for start in blocks])
    found: set[tuple[int, int]] = set()
    for one, others in _candidates(2 * np.stack([one.bits for one in prints]).astype(np.float32) - 1):
        crops = _vectors(_cropped(details[one].astype(np.float32)))
        for start in range(0, len(others), _LOOKED_AT_ONCE):
            block = others[start : start + _LOOKED_AT_ONCE]
            # Starting threads for so small a product takes longer than the product, and einsum starts none.
            resemblance = np.einsum("ck,ok->oc", crops, wholes[block].astype(np.float32)).max(axis=1)
            same = block[resemblance >= _SAME_DETAIL]
            found |= {(min(one, other), max(one, other)) for other in same.tolist()}
    return sorted(found)


def _candidates(signs: Floats) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Every image with the others whose hashes, as (N, 128) of -1 and 1, are near its own, where there are some."""
    least = signs.shape[1] - 2 * _BITS_APART
    step = max(_MATRIX_ENTRIES // len(signs), 1)
    for start in range(0, len(signs), step):
        for one, near in enumerate(signs[start : start + step] @ signs.T >= least, start=start):
            near[one] = False
            if near.any():
                yield one, np.flatnonzero(near)


@functools.cache
def _samplers() -> tuple[Floats, ...]:
    """For each size of a crop, (places, 32, 48): means over the pieces of a side, the first of the whole side."""
    edges = np.arange(_THUMBNAIL)
    samplers = []
    for part, places in _CROPS:
        starts = np.linspace(0, 1 - part, places)[:, None, None] * _THUMBNAIL
        piece = part * _THUMBNAIL / _LOOK
        low = starts + piece * np.arange(_LOOK)[:, None]
        held = np.clip(np.minimum(low + piece, edges + 1) - np.maximum(low, edges), 0, None)
        samplers.append((held / piece).astype(np.float32))
    return tuple(samplers)


def _cropped(detail: Floats) -> Floats:
    """One image's detail (48, 48) at every crop, (crops, 32, 32)."""
    looks = [(one @ detail)[:, None] @ one.transpose(0, 2, 1) for one in _samplers()]
    return np.concatenate([look.reshape(-1, _LOOK, _LOOK) for look in looks])


def _whole(details: Halves) -> Halves:
    """Many images' detail (N, 48, 48), not cropped, as vectors."""
    (sampler,) = _samplers()[0]
    shrunk: Floats = sampler @ details.astype(np.float32) @ sampler.T
    return _vectors(shrunk).astype(np.float16)


def _vectors(looks: Floats) -> Floats:
    """Looks (N, 32, 32) as vectors of mean 0 and length 1, or less where they are flat."""
    flat = looks.reshape(len(looks), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    lengths: Floats = np.linalg.norm(flat, axis=1)
    vectors: Floats = flat / np.maximum(lengths, _FLAT)[:, None]
    return vectors


def _told(rows: Sequence[Row], links: Sequence[tuple[int, int]], exact: set[int]) -> list[Alike]:
    """Groups of linked rows, numbered in the rows' order, each image with the first one that it is linked to."""
    linked = sorted({place for link in links for place in link})
    if not linked:
        return []
    number = {place: index for index, place in enumerate(linked)}
    ends = np.array([[number[place] for place in link] for link in links]).T
    graph = sparse.coo_array((np.ones(len(links)), (ends[0], ends[1])), shape=(len(linked), len(linked)))
    groups = sparse.csgraph.connected_components(graph, directed=False)[1]
    of: dict[int, int] = {}
    for one, other in sorted(links):
        of.setdefault(other, one)
    renumbered: dict[int, int] = {}
    return [
        _alike(rows, place, renumbered.setdefault(int(group), len(renumbered) + 1), of.get(place), place in exact)
        for place, group in zip(linked, groups, strict=True)
    ]


def _alike(rows: Sequence[Row], place: int, group: int, of: int | None, exact: bool) -> Alike:
    kind = "" if of is None else "exact" if exact else "near"
    return Alike(rows[place].path, group, kind, "" if of is None else rows[of].path)
