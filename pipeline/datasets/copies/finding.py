"""Copies of one photograph in a set: equal bytes, equal hashes, or features alike and pixels that agree."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import cv2
import torch
from torch import Tensor

from pipeline.core import progress, stopping
from pipeline.core.seeding import cores
from pipeline.datasets.copies import alignment, appearance, hashes
from pipeline.datasets.copies.alignment import Evidence, Marks
from pipeline.datasets.copies.appearance import Extract, Features
from pipeline.datasets.decoding import images
from pipeline.datasets.prepared.manifest import Pair, Row
from pipeline.datasets.prepared.search import MOST_ALIGNED, MOST_HASHED, SMALLEST, Search

# Likeness from which two images with common keypoints are kept together, whatever their pixels.
ALIKE = 0.95

_BATCH, _PAIRS = 16, 64

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def find(rows: Sequence[Row], folder: Path, extract: Extract) -> tuple[list[Pair], Search]:
    """Return the pairs of copies in a set, sorted, and what was compared; on all cores.

    The result does not depend on the number of cores or threads.

    Args:
        rows: the manifest.
        folder: the folder that its paths are relative to.
        extract: returns the features of images, in a thread of its own.
    """
    copies: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        copies[row.sha256].append(index)
    equal = [(same[0], other) for same in copies.values() for other in same[1:]]
    pairs = [Pair(rows[other].path, rows[one].path, "bytes", "yes", "no", 0, 100, 100) for one, other in equal]
    compared = [same[0] for same in copies.values() if min(rows[same[0]].width, rows[same[0]].height) >= SMALLEST]
    hashed = compared if len(compared) >= 2 and len(copies) <= MOST_HASHED else []
    aligned = hashed if len(copies) <= MOST_ALIGNED else []
    by_hash = hashes.near(rows, folder, hashed) if hashed else []
    if aligned:
        pairs += _compared([rows[index] for index in aligned], folder, extract, _positions(by_hash, aligned))
    else:
        pairs += [Pair(rows[other].path, rows[one].path, "hashes", "no", "no", 0, 0, 0) for one, other in by_hash]
    return sorted(pairs), Search(len(rows), len(hashed), len(aligned))


def _positions(pairs: Sequence[tuple[int, int]], indices: Sequence[int]) -> set[tuple[int, int]]:
    position = {index: number for number, index in enumerate(indices)}
    return {(position[one], position[other]) for one, other in pairs}


def _compared(rows: Sequence[Row], folder: Path, extract: Extract, by_hash: set[tuple[int, int]]) -> Iterator[Pair]:
    """Yield the copies among different images."""

    def looked(batch: Sequence[Row]) -> tuple[list[Marks], Features]:
        loaded = [images.load(folder / row.path, at_least=alignment.SIDE, check=False).image for row in batch]
        seen = [appearance.without_bars(image) for image in loaded]
        return [alignment.marks(image) for image in loaded], extract(seen)

    def aligned(batch: Sequence[tuple[int, int]]) -> list[Evidence]:
        return [alignment.evidence(marks[one], marks[other]) for one, other in batch]

    with _one_thread_each():
        # Batches are the same on any number of cores, since the sums of a network depend on them in the last bits.
        seen = _in_threads(looked, _batches(rows, _BATCH), "copies: features")
        marks = [one for batch, _ in seen for one in batch]
        vectors = appearance.directions([features for _, features in seen])
        pairs = sorted(by_hash.union(appearance.neighbors(vectors)))
        evidence = [one for batch in _in_threads(aligned, _batches(pairs, _PAIRS), "copies: pairs") for one in batch]
    for (one, other), found in zip(pairs, evidence, strict=True):
        if pair := _pair(rows[one], rows[other], found, _likeness(vectors, one, other), (one, other) in by_hash):
            yield pair


def _likeness(vectors: Tensor, one: int, other: int) -> float:
    return float(vectors[one] @ vectors[other])


def _pair(one: Row, other: Row, found: Evidence, likeness: float, by_hash: bool) -> Pair | None:
    if not (found.suggests or by_hash or (likeness >= ALIKE and found.inliers >= alignment.INLIERS)):
        return None
    confirmed, mirrored = ("yes" if value else "no" for value in (found.confirms, found.mirrored))
    percent = [round(100 * value) for value in (found.agreement, likeness)]
    return Pair(other.path, one.path, "hashes" if by_hash else "features", confirmed, mirrored, found.inliers, *percent)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Have torch and OpenCV use one thread in each of ours, so that no sum depends on the number of cores."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _in_threads(work: Callable[[ItemT], ResultT], items: Sequence[ItemT], what: str) -> list[ResultT]:
    """Return the results in order; what is worked on leaves Python's lock most of the time."""
    results = []
    pool = ThreadPoolExecutor(cores())
    try:
        with progress.bar(len(items), what, "batches") as shown:
            for result in pool.map(work, items):
                results.append(result)
                shown.update()
    finally:
        # A thread whose join is interrupted counts as ended, and its C++ aborts the process that exits meanwhile.
        with stopping.held_back():
            pool.shutdown(cancel_futures=True)
    return results


def _batches(items: Sequence[ItemT], size: int) -> list[Sequence[ItemT]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
