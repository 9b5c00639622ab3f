"""The division into training, validation and test images: a function of the manifest, the seed and the repeat."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pipeline.core.errors import InputError
from pipeline.core.types import PerClass
from pipeline.datasets.prepared import balanced_draw, divided_classes
from pipeline.datasets.prepared.manifest import Alike, Assigned, Row

# The last part of a draw's seed, so that the draws are independent of each other.
_TEST_DRAW, _VAL_DRAW, _COUNT_DRAW, _INNER_DRAW, _FEWER_DRAW = range(5)


def split(
    rows: Sequence[Row],
    *,
    test: float,
    val: float,
    seed: int,
    repeat: int,
    per_class: PerClass | None = None,
    alike: Sequence[Alike] = (),
    division: int | None = None,
    inner: bool = False,
    train_fraction: float = 1.0,
) -> list[Assigned]:
    """Assign a part to every image, or with `per_class` to a number of images per class.

    A set with parts of its own keeps them in every repeat. Any other is divided class by class: of n images,
    round(test * n) go to the test part (half to even; at least one, and at least one remains). Then a fraction `val`
    of the training images becomes the validation part in the same way, unless the set has one of its own; a class with
    a single training image gives none. Byte-equal images stay together, and so does a group of `alike`, so a class
    with copies may miss its count.

    If the user named groups of images, they may be large and of several classes: then all classes are divided at once,
    such that the counts come near to the same ones, see `balanced_draw`.

    With `per_class`, images of each class are drawn for the test part, then for validation, then for training; `test`
    is ignored and the other images are in no part. An image in two classes is used in one of them. If the set has
    parts of its own, each is drawn from the part of its name, validation from training if there is none. The test
    part does not depend on the number of training images, and apart from byte-equal copies a smaller training part is
    a subset of a larger one (SPA-GCA Table 1: Caltech 256-30 and 256-60).

    With `inner`, the training part is divided once more, anew in each repeat, and the images of the test part are in no
    part: what is chosen on such divisions has seen none of them. With a `train_fraction`, the smaller training part of
    each class is a subset of any larger one.

    The draw of a class depends on its name, its images (not their names), the seed and the repeat; with named groups
    also on the other classes. It is not scikit-learn's stratified split, which may leave a small class without a test
    image.

    Args:
        rows: the manifest.
        test: fraction of all images.
        val: fraction of the training images; 0 for none.
        seed: seed of the study.
        repeat: number of the division.
        per_class: images to draw of each class, in place of `test`.
        alike: the groups of images that stay together.
        division: the repeat whose division this is, too; None for one of its own.
        inner: whether the training part is divided, in place of the set.
        train_fraction: of each class's training images, those that are used; at least one.

    Returns:
        One entry per image that is in a part, in the rows' order.

    Raises:
        InputError: if a class has too few images for the draw, or none in training or test; for `per_class` with named
            groups of several classes.
    """
    rows = _as_copies(rows, alike)
    draw = balanced_draw.drawn if any(row.group for row in rows) else _drawn
    number = repeat if division is None else division
    parts = {row.path: row.part for row in rows}
    # A set's own training part gives the same validation images in every repeat: its repeats vary the seeds alone.
    own = not per_class and any(parts.values())
    if per_class:
        parts = _counted(rows, per_class, (seed, number, _COUNT_DRAW))
    elif not own:
        test_paths = draw(rows, test, (seed, number, _TEST_DRAW))
        parts = {path: "test" if path in test_paths else "train" for path in parts}
    if inner:
        inner_test = draw(_of(rows, parts, "train"), test, (seed, repeat, _INNER_DRAW))
        parts = {path: part for path, part in parts.items() if part != "test"} | dict.fromkeys(inner_test, "test")
        own, number = False, repeat
    if val > 0 and "val" not in parts.values():
        training = _of(rows, parts, "train")
        parts |= dict.fromkeys(draw(training, val, (seed, 0 if own else number, _VAL_DRAW)), "val")
    if train_fraction < 1:
        training = _of(rows, parts, "train")
        kept = _fewer(training, train_fraction, (seed, 0 if own else number, _FEWER_DRAW))
        parts = {path: part for path, part in parts.items() if part != "train" or path in kept}
    divided_classes.check(rows, parts, least="three" if inner else "two")
    return [Assigned(row.path, row.label, parts[row.path]) for row in rows if row.path in parts]


def _of(rows: Sequence[Row], parts: Mapping[str, str], part: str) -> list[Row]:
    return [row for row in rows if parts.get(row.path) == part]


def _fewer(rows: Sequence[Row], fraction: float, entropy: tuple[int, ...]) -> set[str]:
    """Return the paths of a fraction of each class, the first in random order; an image comes with its copies.

    A named group comes whole, unless the class comes nearer to its fraction without it and has some images.
    """
    kept: set[tuple[str, str]] = set()
    named = any(row.group for row in rows)
    for label, copies in _copies(rows).items():
        wanted = room = max(1, round(fraction * copies.total()))
        for image in _order(label, copies, entropy):
            if room <= 0 or (named and room < wanted and copies[image] > 2 * room):
                break
            kept.add((label, image))
            room -= copies[image]
    return {row.path for row in rows if (row.label, row.sha256) in kept}


def _as_copies(rows: Sequence[Row], alike: Sequence[Alike]) -> list[Row]:
    """Return the rows with one hash per group, the smallest of its own, as if its images were byte-equal."""
    group = {one.path: one.group for one in alike}
    least: dict[int, str] = {}
    for row in rows:
        if number := group.get(row.path):
            least[number] = min(row.sha256, least.get(number, row.sha256))
    return [row._replace(sha256=least[group[row.path]]) if row.path in group else row for row in rows]


def _counted(rows: Sequence[Row], per_class: PerClass, entropy: tuple[int, ...]) -> dict[str, str]:
    """Return the parts, by path, of images drawn by number."""
    wanted = {"test": per_class.test, "val": per_class.val, "train": per_class.train}
    _check_groups(rows)
    own = {part: [row for row in rows if row.part == part] for part in wanted}
    if not any(own.values()):
        _check_wanted(wanted)
        return _filled(rows, wanted, entropy)
    parts = {row.path: part for part, members in own.items() if not wanted[part] for row in members}
    for part, members in own.items():
        drawn = [part] if part != "train" or own["val"] else ["val", "train"]
        parts |= _filled(members, {name: wanted[name] for name in drawn if wanted[name]}, entropy)
    return parts


def _check_groups(rows: Sequence[Row]) -> None:
    """Refuse named groups of several classes, whose images cannot be counted class by class."""
    labels: dict[str, str] = {}
    for row in rows:
        if row.group and labels.setdefault(row.group, row.label) != row.label:
            raise InputError(
                f"split.per_class draws class by class, and the group {row.group!r} is of {labels[row.group]!r} and "
                f"{row.label!r}; divide by fractions, -S defaults.data.split.per_class=none"
            )


def _check_wanted(wanted: Mapping[str, int]) -> None:
    for part in ("train", "test"):
        if not wanted[part]:
            raise InputError(f"split.per_class.{part}: 0, and this set has no such part of its own; give more than 0")


def _filled(rows: Sequence[Row], wanted: Mapping[str, int], entropy: tuple[int, ...]) -> dict[str, str]:
    """Draw images of each class for each part, an image with its copies; an image in two classes goes to one."""
    classes = _copies(rows)
    class_counts = Counter(image for copies in classes.values() for image in copies)
    decided: dict[str, tuple[str, str]] = {}
    # Part by part, test first: the test part must not depend on the number of training images.
    for part, count in wanted.items():
        for label, copies in classes.items():
            # Images in two classes come last: they are left to a class that needs all of its images.
            order = sorted(_order(label, copies, entropy), key=lambda image: class_counts[image] > 1)
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
    """Return, per class in order, the number of copies of each image, by hash."""
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        classes[row.label][row.sha256] += 1
    return dict(sorted(classes.items()))


def _order(label: str, copies: Iterable[str], entropy: tuple[int, ...]) -> list[str]:
    """Return a class's images in random order."""
    # Hashes are sorted first, so that names of files have no influence.
    images = sorted(copies)
    return [images[index] for index in np.random.default_rng([*entropy, *label.encode()]).permutation(len(images))]


def _drawn(rows: Sequence[Row], fraction: float, entropy: tuple[int, ...]) -> set[str]:
    """Return the paths of about a fraction of each class; an image and its copies are drawn or left together."""
    decided: dict[str, bool] = {}
    # An image in two classes is decided by the first of them.
    for label, copies in _copies(rows).items():
        selected = _selected(_order(label, copies, entropy), copies, fraction, decided)
        decided |= {image: image in selected for image in copies}
    return {row.path for row in rows if decided[row.sha256]}


def _selected(order: Sequence[str], copies: Counter[str], fraction: float, decided: dict[str, bool]) -> set[str]:
    """Fill a class's count in random order, from the images on which no other class has decided."""
    selected = {image for image in order if decided.get(image)}
    room = min(max(round(fraction * copies.total()), 1), copies.total() - 1) - sum(copies[image] for image in selected)
    free = [image for image in order if image not in decided]
    for image in free:
        if copies[image] <= room:
            selected.add(image)
            room -= copies[image]
    # At least one, even if its copies exceed the count.
    if not selected and free and len(order) > 1:
        selected.add(min(free, key=copies.__getitem__))
    return selected
