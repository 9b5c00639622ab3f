"""Which image is for training, validation or test: a function of the manifest, the seed and the repeat."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.core.errors import InputError
from pipeline.datasets.prepared.manifest import Alike, Assigned, Row

_TEST_DRAW, _VAL_DRAW, _COUNT_DRAW = 0, 1, 2


class PerClass(NamedTuple):
    """So many images of every class in each part; 0 for a part that the set has of its own is that part, whole."""

    train: int
    test: int
    val: int


def split(
    rows: Sequence[Row],
    *,
    test: float,
    val: float,
    seed: int,
    repeat: int,
    per_class: PerClass | None = None,
    alike: Sequence[Alike] = (),
) -> list[Assigned]:
    """Assign a part to every image, or to those that are drawn.

    A set with parts of its own keeps them, in every repeat. Any other is divided class by class: of n images,
    round(test * n) go to the test part (half to even; at least one, and at least one stays). Then `val` of
    what is left for training becomes the validation part in the same way, unless the set has one of its own;
    a class with a single training image gives none. Byte-equal images stay together, and so does a group of
    duplicates, so a class with copies may miss its count.

    With `per_class`, so many images a class are drawn for the test part, then for validation, then for training;
    `test` is not used and the other images are in no part, nor is an image that is in two classes in the second.
    Where the set has parts of its own, each is drawn out of the part of its name, validation out of training where
    there is none. The test part does not depend on how many are drawn for training, and but for byte-equal copies
    fewer training images are among more (SPA-GCA Table 1: Caltech 256-30 and 256-60).

    What is drawn for a class depends on its name, its images (not their names), the seed and the repeat. It
    is not scikit-learn's stratified split, which may leave a small class without a test image.

    Args:
        rows: the manifest.
        test: the test part of all images.
        val: the validation part of what is left for training; 0 for none.
        seed: of the whole study.
        repeat: which division.
        per_class: how many of each class, in place of `test`.
        alike: the groups of duplicates that stay together.

    Returns:
        One entry a row, or a row that was drawn, in the rows' order.

    Raises:
        InputError: where a class has fewer images than are to be drawn of it, or would be without an image in
            training or test.
    """
    rows = _as_copies(rows, alike)
    parts = {row.path: row.part for row in rows}
    if per_class:
        parts = _counted(rows, per_class, (seed, repeat, _COUNT_DRAW))
    elif not any(parts.values()):
        chosen = _drawn(rows, test, (seed, repeat, _TEST_DRAW))
        parts = {path: "test" if path in chosen else "train" for path in parts}
    if val > 0 and "val" not in parts.values():
        training = [row for row in rows if parts.get(row.path) == "train"]
        # What is held out of a set's own training part is the same in every repeat: its repeats vary the seeds alone.
        own = not per_class and any(row.part for row in rows)
        parts |= dict.fromkeys(_drawn(training, val, (seed, 0 if own else repeat, _VAL_DRAW)), "val")
    _check_parts(rows, parts)
    return [Assigned(row.path, row.label, parts[row.path]) for row in rows if row.path in parts]


def _as_copies(rows: Sequence[Row], alike: Sequence[Alike]) -> list[Row]:
    """The rows, those of a group with one hash, the least of theirs, as if they were byte-equal."""
    group = {one.path: one.group for one in alike}
    least: dict[int, str] = {}
    for row in rows:
        if number := group.get(row.path):
            least[number] = min(row.sha256, least.get(number, row.sha256))
    return [row._replace(sha256=least[group[row.path]]) if row.path in group else row for row in rows]


def beside(
    assigned: Iterable[Assigned], *, counts: Mapping[str, int], printed: Mapping[str, Sequence[int]]
) -> list[str]:
    """One division beside what is published of the set, in lines to show.

    Args:
        assigned: the division.
        counts: published numbers of images by part; 0 where none is.
        printed: training and test images of each class as a paper prints them; empty where none does.

    Returns:
        A line for all images, and one a printed class.
    """
    images = list(assigned)
    told = f", {counts['train']:,} train + {counts['test']:,} test published" if counts["train"] else ""
    lines = [_numbers(Counter(image.part for image in images)) + told]
    for label, (train, test) in printed.items():
        ours = _numbers(Counter(image.part for image in images if image.label == label))
        lines.append(f"{label}: {ours}, {train} train + {test} test printed")
    return lines


def _numbers(parts: Mapping[str, int]) -> str:
    """Numbers of images by part.

    >>> _numbers({"test": 686, "train": 1618})
    '1,618 train + 686 test'
    """
    return " + ".join(f"{parts[part]:,} {part}" for part in ("train", "val", "test") if part in parts)


def _counted(rows: Sequence[Row], per_class: PerClass, entropy: tuple[int, ...]) -> dict[str, str]:
    """The parts of the images that are drawn by number."""
    wanted = {"test": per_class.test, "val": per_class.val, "train": per_class.train}
    own = {part: [row for row in rows if row.part == part] for part in wanted}
    if not any(own.values()):
        _check_wanted(wanted)
        return _filled(rows, wanted, entropy)
    parts = {row.path: part for part, given in own.items() if not wanted[part] for row in given}
    for part, given in own.items():
        drawn = [part] if part != "train" or own["val"] else ["val", "train"]
        parts |= _filled(given, {name: wanted[name] for name in drawn if wanted[name]}, entropy)
    return parts


def _check_wanted(wanted: Mapping[str, int]) -> None:
    for part in ("train", "test"):
        if not wanted[part]:
            raise InputError(f"split.per_class.{part}: 0, and this set has no such part of its own; give more than 0")


def _filled(rows: Sequence[Row], wanted: Mapping[str, int], entropy: tuple[int, ...]) -> dict[str, str]:
    """Draw so many images of each class for each part, an image with its copies; of two classes, one has it."""
    classes = _copies(rows)
    holders = Counter(image for copies in classes.values() for image in copies)
    decided: dict[str, tuple[str, str]] = {}
    for part, count in wanted.items():
        for label, copies in classes.items():
            # What is in another class too comes last, so that it is left to a class that needs all it has.
            order = sorted(_order(label, copies, entropy), key=lambda image: holders[image] > 1)
            room = count
            for image in order:
                if image not in decided and copies[image] <= room:
                    decided[image] = (label, part)
                    room -= copies[image]
            if room:
                raise InputError(_too_few(label, copies, wanted))
    return {row.path: decided[row.sha256][1] for row in rows if decided.get(row.sha256, ("",))[0] == row.label}


def _too_few(label: str, copies: Counter[str], wanted: Mapping[str, int]) -> str:
    parts = " + ".join(f"{count} for {part}" for part, count in wanted.items() if count)
    return (
        f"class {label!r}: {copies.total()} images ({len(copies)} different) do not give {parts} "
        "with copies kept together; lower split.per_class"
    )


def _copies(rows: Iterable[Row]) -> dict[str, Counter[str]]:
    """How often each image is in each class, the classes in order."""
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        classes[row.label][row.sha256] += 1
    return dict(sorted(classes.items()))


def _order(label: str, copies: Iterable[str], entropy: tuple[int, ...]) -> list[str]:
    images = sorted(copies)
    return [images[place] for place in np.random.default_rng([*entropy, *label.encode()]).permutation(len(images))]


def _drawn(rows: Sequence[Row], fraction: float, entropy: tuple[int, ...]) -> set[str]:
    """The paths of about this fraction of each class; an image and its copies are drawn or left together."""
    decided: dict[str, bool] = {}
    for label, copies in _copies(rows).items():
        taken = _taken(_order(label, copies, entropy), copies, fraction, decided)
        decided |= {image: image in taken for image in copies}
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
        held[row.label].add(parts.get(row.path, ""))
    for label, given in sorted(held.items()):
        for part in ("train", "test"):
            if part not in given:
                raise InputError(
                    f"class {label!r} has no image for the {part} part; it needs two different images, "
                    "no near duplicates of each other, that are not in another class too"
                )
