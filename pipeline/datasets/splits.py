"""Which image is for training, validation or test: a function of the manifest, the seed and the repeat."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.datasets.manifest import Assigned, Row
from pipeline.errors import InputError

_TEST_DRAW, _VAL_DRAW = 0, 1


def split(rows: Sequence[Row], *, test: float, val: float, seed: int, repeat: int) -> list[Assigned]:
    """Assign a part to every image.

    A set with parts of its own keeps them, in every repeat. Any other is divided class by class: of n images,
    round(test * n) go to the test part (half to even; at least one, and at least one stays). Then `val` of
    what is left for training becomes the validation part in the same way, unless the set has one of its own;
    a class with a single training image gives none. Byte-equal images stay together, so a class with copies
    may miss its count.

    What is drawn for a class depends on its name, its images (not their names), the seed and the repeat. It
    is not scikit-learn's stratified split, which may leave a small class without a test image.

    Args:
        rows: the manifest.
        test: the test part of all images.
        val: the validation part of what is left for training; 0 for none.
        seed: of the whole study.
        repeat: which division.

    Returns:
        One entry a row, in the rows' order.

    Raises:
        InputError: where a class would be without an image in training or test.
    """
    parts = {row.path: row.part for row in rows}
    if not any(parts.values()):
        chosen = _drawn(rows, test, (seed, repeat, _TEST_DRAW))
        parts = {path: "test" if path in chosen else "train" for path in parts}
    if val > 0 and "val" not in parts.values():
        training = [row for row in rows if parts[row.path] == "train"]
        parts |= dict.fromkeys(_drawn(training, val, (seed, repeat, _VAL_DRAW)), "val")
    _check_parts(rows, parts)
    return [Assigned(row.path, row.label, parts[row.path]) for row in rows]


def _drawn(rows: Sequence[Row], fraction: float, entropy: tuple[int, ...]) -> set[str]:
    """The paths of about this fraction of each class; an image and its copies are drawn or left together."""
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        classes[row.label][row.sha256] += 1
    decided: dict[str, bool] = {}
    for label, copies in sorted(classes.items()):
        images = sorted(copies)
        order = np.random.default_rng([*entropy, *label.encode()]).permutation(len(images))
        taken = _taken([images[place] for place in order], copies, fraction, decided)
        decided |= {image: image in taken for image in images}
    return {row.path for row in rows if decided[row.sha256]}


def _taken(order: Sequence[str], copies: Counter[str], fraction: float, decided: dict[str, bool]) -> set[str]:
    """Fill a class's count in a drawn order, from the images on which no other class has decided."""
    taken = {image for image in order if decided.get(image)}
    room = min(max(round(fraction * copies.total()), 1), copies.total() - 1) - sum(copies[image] for image in taken)
    free = [image for image in order if image not in decided]
    for image in free:
        if copies[image] <= room:
            taken.add(image)
            room -= copies[image]
    if not taken and free and len(order) > 1:
        taken.add(min(free, key=copies.__getitem__))
    return taken


def _check_parts(rows: Iterable[Row], parts: dict[str, str]) -> None:
    held: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        held[row.label].add(parts[row.path])
    for label, given in sorted(held.items()):
        for part in ("train", "test"):
            if part not in given:
                raise InputError(
                    f"class {label!r} has no image for the {part} part; it needs two different images "
                    "that are not in another class too"
                )
