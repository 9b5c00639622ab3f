"""Whether every class of a division has images to train on and to test."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pipeline.core.errors import InputError
from pipeline.core.shortening import cut
from pipeline.datasets.prepared.manifest import Row

# Of the names of classes in a message.
LONGEST_LIST = 400


def check(rows: Iterable[Row], parts: Mapping[str, str], *, least: str) -> None:
    """Refuse a division in which a class lacks a part.

    Args:
        rows: the images.
        parts: the part of each, by path.
        least: how many different images a class needs, in a word.

    Raises:
        InputError: naming all such classes.
    """
    parts_of_class: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        parts_of_class[row.label].add(parts.get(row.path, ""))
    lacking = {label: part for part in ("test", "train") for label, has in parts_of_class.items() if part not in has}
    if not lacking:
        return
    (label, part), *others = sorted(lacking.items())
    more = f"; the same of {cut(', '.join(repr(name) for name, _ in others), LONGEST_LIST)}" if others else ""
    raise InputError(
        f"class {label!r} has no image for the {part} part; it needs {least} different images, no near duplicates "
        "of each other and not of one group, that are not in another class too; bring more, or leave the class "
        f"out{more}"
    )
