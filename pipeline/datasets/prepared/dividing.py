"""The division of a set as its settings say: what is left out for its copies, and which image is in which part."""

from collections.abc import Callable, Sequence

from pipeline.core.sections import EACH, Data, Split
from pipeline.datasets.prepared import groups, leaks, splits
from pipeline.datasets.prepared.manifest import Alike, Assigned, Pair, Row


def divided(
    data: Data,
    rows: Sequence[Row],
    pairs: Sequence[Pair],
    *,
    own: bool,
    repeat: int,
    note: Callable[[str], object] = lambda _: None,
) -> list[Assigned]:
    """Return the part of each image in a repeat.

    Args:
        data: the settings.
        rows: the collected images.
        pairs: their copies.
        own: whether the set is in the user's own folder, and so its classes the user's to mend.
        repeat: the number of the division.
        note: called with a remark on images that are in two parts.

    Raises:
        InputError: for copies that are refused, and for classes with too few images.
    """
    kept = _kept(data, rows, pairs, own=own, note=note)
    settings = data.split
    return splits.split(
        kept,
        test=settings.test,
        val=settings.val,
        seed=settings.seed,
        repeat=repeat,
        per_class=None if isinstance(settings.per_class, str) else settings.per_class,
        alike=together(data, rows, pairs),
        division=settings.division if isinstance(settings.division, int) else None,
        inner=settings.inner,
        train_fraction=settings.train_fraction,
    )


def together(data: Data, rows: Sequence[Row], pairs: Sequence[Pair]) -> list[Alike]:
    """Return the groups of images that stay in one part: those that the user named, and copies unless they may leak."""
    return groups.grouped([] if data.on_leak == "allow" else pairs, rows)


def _kept(
    data: Data, rows: Sequence[Row], pairs: Sequence[Pair], *, own: bool, note: Callable[[str], object]
) -> Sequence[Row]:
    """Return the images that are used, without those that leave their part; refuse what the settings do not allow."""
    if own and data.duplicates == "refuse":
        leaks.check_classes(rows, pairs, key="defaults.data.duplicates")
    leaking = leaks.leaks(rows, pairs)
    if data.on_leak == "refuse":
        leaks.check(leaking)
    if leaking:
        note(leaks.note(leaking, data.on_leak))
    gone = {leak.path for leak in leaking} if data.on_leak == "drop" else set()
    return [row for row in rows if row.path not in gone]


def redraws_training(split: Split) -> bool:
    """Return whether each repeat draws its own training images, also where all repeats have the same test images.

    These are of a set with parts of its own, of which numbers of images by class are drawn anew. Fractions of its
    training part are the same images in every repeat, see `splits.split`.
    """
    numbers = split.per_class
    if isinstance(numbers, str) or split.division != EACH:
        return False
    return max(numbers.train, numbers.val, split.val) > 0 or split.train_fraction < 1
