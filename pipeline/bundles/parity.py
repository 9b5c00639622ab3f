"""Does an exported model say what its bundle says? Compared image by image, from the files."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.bundles import applying, exporting
from pipeline.bundles.bundle import Bundle
from pipeline.bundles.pixels import resized
from pipeline.bundles.running import Runner
from pipeline.datasets.decoding import images as decoding
from pipeline.evaluation.uncertainty import temperature as scaled

# Of 100 images at least so many get the same class, or the export says that it differs.
LEAST_EQUAL = 99.5
# Packed images in memory at a time.
CHUNK = 256
# How often and with how many photographs speed is measured.
PASSES, TIMED = 5, 50

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.floating[Any]]


class Photograph(NamedTuple):
    """A photograph.

    Attributes:
        name: by which it is listed.
        file: its path on disk.
        label: its class's number; None where it is not known.
        group: of photographs that stay in one part; "" where it is in none.
    """

    name: str
    file: Path
    label: int | None
    group: str = ""


class Given(NamedTuple):
    """Probabilities (n, K) of the same n photographs.

    Attributes:
        bundle: the bundle's own.
        models: of each exported model, by name, with JPEGs decoded smaller as the bundle has them.
        whole: of the first of them with every file decoded at its full size.
        reduced: (n,) whether a photograph was decoded smaller.
    """

    bundle: Probabilities
    models: dict[str, Probabilities]
    whole: Probabilities
    reduced: NDArray[np.bool_]


def run(bundle: Bundle, models: dict[str, Runner], photographs: Sequence[Photograph]) -> Given:
    """Return what the bundle and the models say of photographs, which are decoded one at a time.

    Args:
        bundle: runs on packed images, with evaluate's batch size.
        models: by name.
        photographs: n >= 1, all of which can be decoded.
    """
    rows = []
    first = next(iter(models.values()))
    for one in tqdm(photographs, "photographs", unit=" images", disable=None):
        pixels, whole = decoded(bundle, one.file), full(one.file)
        said = {name: model(pixels)[0] for name, model in models.items()}
        smaller = pixels.shape != whole.shape
        rows.append((said, first(whole)[0] if smaller else next(iter(said.values())), smaller))
    own = [
        probabilities(bundle, np.stack([bundle.pixels(one.file) for one in photographs[start : start + CHUNK]]))
        for start in range(0, len(photographs), CHUNK)
    ]
    return Given(
        np.concatenate(own),
        {name: np.stack([said[name] for said, _, _ in rows]) for name in models},
        np.stack([whole for _, whole, _ in rows]),
        np.array([smaller for _, _, smaller in rows]),
    )


def decoded(bundle: Bundle, file: Path) -> Pixels:
    """Return a photograph (1, H, W, 3) as the bundle has it before it is resized."""
    # Copied: torch takes no array that may not be written to, and Pillow's may not.
    prepared = bundle.description.preprocessing
    return np.array(decoding.load(file, at_least=prepared.draft * prepared.image_size).image)[None]


def full(file: Path) -> Pixels:
    """Return a photograph (1, H, W, 3) at its full size, as most programs decode it."""
    return np.array(decoding.load(file).image)[None]


def probabilities(bundle: Bundle, packed: Pixels, *, batch_size: int | None = None) -> Probabilities:
    """Return the bundle's probabilities (n, K) of packed images."""
    logits = bundle.run(packed, batch_size=batch_size).logits
    if len(logits) > 1:
        # Of several networks none is calibrated.
        return applying.probabilities(logits)
    return scaled.probabilities(logits[0], exporting.temperature(bundle.description))


def agreement(
    ours: Probabilities, theirs: Probabilities, photographs: Sequence[Photograph], classes: Sequence[str]
) -> dict[str, Any]:
    """Return how far two models agree, with each photograph that gets another class.

    `margin` is the bundle's probability of its own class less that of the other model's: what has to change.
    """
    one, other = ours.argmax(1), theirs.argmax(1)
    gaps = np.abs(ours - theirs).max(1)
    differing = np.flatnonzero(one != other)
    return {
        "photographs": len(ours),
        "equal": len(ours) - len(differing),
        "equal_percent": 100 * (1 - len(differing) / len(ours)),
        "largest_gap": float(gaps.max()),
        "exceptions": [
            {
                "photograph": photographs[row].name,
                "bundle": classes[one[row]],
                "exported": classes[other[row]],
                "margin": float(ours[row, one[row]] - ours[row, other[row]]),
                "gap": float(gaps[row]),
            }
            for row in differing.tolist()
        ],
    }


def accuracy_changed(
    before: Probabilities, after: Probabilities, photographs: Sequence[Photograph]
) -> dict[str, Any] | None:
    """Return two accuracies on the same photographs, and their difference with its 95 % interval and McNemar's test.

    A group of photographs counts as one in both. None where the classes of the photographs are not known, or where all
    are of one group. `low` and `high` are None for two, and where all differ alike, mostly not at all: such photographs
    have no spread, and an interval of width 0 would claim more than so few can.
    """
    from pipeline.evaluation.compare import mcnemar, over_units, units

    labels = [one.label for one in photographs]
    unit = units.units([one.name for one in photographs], {one.name: one.group for one in photographs if one.group})
    if None in labels or unit.max(initial=0) < 1:
        return None
    was, is_now = (said.argmax(1) == np.array(labels) for said in (before, after))
    tested = mcnemar.exact(was, is_now, unit if any(one.group for one in photographs) else None)
    right = units.sums(np.stack([is_now, was, np.ones_like(was)]).astype(np.int64), unit)
    ends = over_units.difference(right[0], right[1], tested=right[2], seed=0)
    low, high = ends if ends and ends.low < ends.high else (None, None)
    return {
        "before": float(was.mean()),
        "after": float(is_now.mean()),
        "difference": float(is_now.mean() - was.mean()),
        "low": low,
        "high": high,
        "only_right_before": tested.only_a,
        "only_right_after": tested.only_b,
        "p": tested.p,
        "groups": tested.groups,
    }


def speeds(bundle: Bundle, models: dict[str, Runner], photographs: Sequence[Photograph]) -> dict[str, Any]:
    """Return images a second, from a decoded photograph to probabilities, one at a time, in turns.

    Returns:
        For the bundle and for each model the mean and the standard deviation over `passes` passes of `photographs`.
    """
    prepared = bundle.description.preprocessing
    at_least = prepared.draft * prepared.image_size
    images = [decoding.load(one.file, at_least=at_least).image for one in photographs[:TIMED]]
    arrays = [np.array(image)[None] for image in images]

    def own(number: int) -> object:
        return probabilities(bundle, resized(images[number], prepared)[None], batch_size=1)

    runs: dict[str, Callable[[int], object]] = {"bundle": own}
    runs |= {name: _on_arrays(model, arrays) for name, model in models.items()}
    rates: dict[str, list[float]] = {name: [] for name in runs}
    # The first pass only warms up.
    for done in range(PASSES + 1):
        for name, one in runs.items():
            start = time.perf_counter()
            for number in range(len(images)):
                one(number)
            if done:
                rates[name].append(len(images) / (time.perf_counter() - start))
    measured = {
        name: {"images_per_second": float(np.mean(values)), "spread": float(np.std(values, ddof=1))}
        for name, values in rates.items()
    }
    return measured | {"passes": PASSES, "photographs": len(images), "threads": torch.get_num_threads()}


def _on_arrays(model: Runner, arrays: Sequence[Pixels]) -> Callable[[int], object]:
    return lambda number: model(arrays[number])
