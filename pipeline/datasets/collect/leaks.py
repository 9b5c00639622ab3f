"""One image on both sides of a set's own parts: refuse it, keep it out of training, or let it be."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pipeline.core.errors import InputError
from pipeline.datasets.prepared.manifest import Alike, Rejected, Row

Choice = Literal["refuse", "drop", "allow"]

# An image of a group stays in the part that is looked at last; what is judged is never made smaller for training.
_RANK = {"train": 0, "val": 1, "test": 2}
_WORDS = {"exact": "byte-equal to", "near": "a near duplicate of"}


class Leak(NamedTuple):
    """An image that training, or the choice by validation, sees and that is looked at again later.

    Attributes:
        path: the image in the earlier part.
        part: that part.
        of: an image of its group in a later part.
        of_part: that part.
        kind: exact or near.
    """

    path: str
    part: str
    of: str
    of_part: str
    kind: str


def leaks(rows: Sequence[Row], alike: Sequence[Alike]) -> list[Leak]:
    """Every image whose group of duplicates reaches into a later part than its own, in the rows' order."""
    known = {row.path: row for row in rows}
    groups: dict[int, list[Row]] = defaultdict(list)
    for one in alike:
        if one.path in known and known[one.path].part:
            groups[one.group].append(known[one.path])
    found = []
    for group in groups.values():
        last = max(group, key=lambda row: _RANK[row.part])
        found += [_leak(row, group) for row in group if row.part != last.part]
    return sorted(found)


def _leak(row: Row, group: Sequence[Row]) -> Leak:
    latest = max(_RANK[other.part] for other in group)
    later = [other for other in group if _RANK[other.part] == latest]
    of = next((other for other in later if other.sha256 == row.sha256), later[0])
    return Leak(row.path, row.part, of.path, of.part, "exact" if of.sha256 == row.sha256 else "near")


def resolved(choice: Literal["auto"] | Choice, *, as_published: bool) -> Choice:
    """What `auto` stands for.

    Args:
        choice: of params.yaml.
        as_published: whether the set's papers say its parts or how many images of a class each has, so that a change
            would no longer be what they did.
    """
    if choice != "auto":
        return choice
    return "allow" if as_published else "refuse"


def check(found: Sequence[Leak], *, key: str) -> None:
    """Refuse a set with leaks.

    Args:
        found: the leaks.
        key: the place of `on_leak` in params.yaml, for the message.

    Raises:
        InputError: naming the first and how many more there are.
    """
    if found:
        first = found[0]
        more = f" (and {len(found) - 1} more such images)" if len(found) > 1 else ""
        raise InputError(
            f"{first.path!r} in {first.part} is {_WORDS[first.kind]} {first.of!r} in {first.of_part}{more}; remove "
            f"one, or leave such images out of {first.part}, -S {key}=drop, or let them be, -S {key}=allow"
        )


def rejections(found: Sequence[Leak]) -> list[Rejected]:
    """What to list of images that are dropped."""
    return [
        Rejected(leak.path, f"left out of {leak.part}: {_WORDS[leak.kind]} {leak.of!r} in {leak.of_part}")
        for leak in found
    ]
