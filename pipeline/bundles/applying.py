"""A bundle applied to any number of files: decoded on all cores while the networks compute, in bounded memory."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.bundles.bundle import Bundle
from pipeline.bundles.pixels import Decoded, decode
from pipeline.bundles.predictions import Doubt, Prediction, doubts, most_probable
from pipeline.datasets.decoding.parallel import mapped

# Decoded images that wait, in batches: one more than the networks are busy with.
BATCHES_AHEAD = 2


class Applied(NamedTuple):
    """One file with what is said of it.

    Attributes:
        prediction: that.
        pixels: uint8 (3, S, S), as the image is packed; None of a file that cannot be used.
        thumbnail: a JPEG; empty where none was asked for.
    """

    prediction: Prediction
    pixels: NDArray[np.uint8] | None
    thumbnail: bytes


def apply(
    loaded: Bundle, names: Sequence[str], *, top: int, batch_size: int | None = None, thumbnail: int = 0
) -> "closing[Generator[list[Applied], None, None]]":
    """Predict the classes of image files; for use in a `with` block.

    With the batch size, the device and the number of threads of `evaluate`, the scores are its own to the bit, in any
    order and beside any other files.

    Args:
        loaded: the bundle.
        names: the files' paths.
        top: how many classes are said of each, at most.
        batch_size: images a batch; None for that of `evaluate`.
        thumbnail: the longest side of a small picture of each image, in pixels; 0 for none.

    Returns:
        A context manager with an iterator over lists of files, which together are those of `names`, in their order.

    Raises:
        InputError: while iterating, if the system killed a worker.
    """
    size = batch_size or loaded.description.computation.batch_size
    return closing(_applied(loaded, names, top=top, size=size, thumbnail=thumbnail))


def _applied(
    loaded: Bundle, names: Sequence[str], *, top: int, size: int, thumbnail: int
) -> Generator[list[Applied], None, None]:
    work = partial(decode, preprocessing=loaded.description.preprocessing, thumbnail=thumbnail)
    files = [Path(name) for name in names]
    computed: Future[list[Applied]] | None = None
    with ThreadPoolExecutor(1) as networks, mapped(work, files, ahead=BATCHES_AHEAD * size) as decoded:
        for batch in _batches(zip(names, decoded, strict=True), size):
            # The networks rest while a result is used: Grad-CAM runs them too.
            if computed:
                yield computed.result()
            computed = networks.submit(_predicted, loaded, batch, top, size)
        if computed:
            yield computed.result()


def _batches(decoded: Iterable[tuple[str, Decoded]], size: int) -> Iterator[list[tuple[str, Decoded]]]:
    """Yield the files in their order, in lists of at most `size` images."""
    waiting: list[tuple[str, Decoded]] = []
    images = 0
    for name, one in decoded:
        waiting.append((name, one))
        images += one.pixels is not None
        # Many bad files in a row must not wait for a batch to fill.
        if images == size or len(waiting) == BATCHES_AHEAD * size:
            yield waiting
            waiting, images = [], 0
    if waiting:
        yield waiting


def _predicted(loaded: Bundle, waiting: Sequence[tuple[str, Decoded]], top: int, size: int) -> list[Applied]:
    """Return the files of at most one batch of images with what is said of them."""
    images = [one.pixels for _, one in waiting if one.pixels is not None]
    said = iter(predicted(loaded, np.stack(images), top=top, batch_size=size) if images else ())
    return [
        Applied(
            Prediction(path=name, error=one.error) if one.pixels is None else replace(next(said), path=name),
            one.pixels,
            one.thumbnail,
        )
        for name, one in waiting
    ]


def predicted(
    loaded: Bundle, images: NDArray[np.uint8], *, top: int, batch_size: int | None = None
) -> list[Prediction]:
    """Return what a bundle says of packed images, without their paths.

    Args:
        loaded: the bundle.
        images: uint8 (n, 3, S, S), as `Bundle.pixels` returns them; n >= 1.
        top: how many classes are said of each, at most.
        batch_size: images a batch; None for that of `evaluate`.
    """
    outputs, classes = loaded.run(images, batch_size=batch_size), loaded.description.classes
    if loaded.certainty is None:
        shares = probabilities(outputs.logits)
        doubt: list[Doubt] | list[None] = [None] * len(images)
    else:
        judgment = loaded.certainty.judge(outputs.logits[0], outputs.features)
        shares, doubt = judgment.probabilities, doubts(judgment, classes)
    return [
        Prediction(path="", top=most_probable(classes, row, top), doubt=one)
        for row, one in zip(shares.tolist(), doubt, strict=True)
    ]


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities (n, K) of class scores (M, n, K): the mean of the networks' own, as `evaluate` has them.

    >>> probabilities(np.zeros((2, 1, 2), np.float32)).tolist()
    [[0.5, 0.5]]
    """
    return np.asarray(torch.from_numpy(logits).double().softmax(2).mean(0))
