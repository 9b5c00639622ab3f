"""Leaks: one image in two of a set's own parts, which is refused, dropped from the earlier part, or allowed."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pipeline.core.errors import InputError
from pipeline.datasets.prepared.manifest import Alike, Rejected, Row

Choice = Literal["refuse", "drop", "allow"]

# A group stays in the part that is used last: the test part never shrinks in favor of training.
_RANK = {"train": 0, "val": 1, "test": 2}
# How the reason of a file that was dropped begins.
DROPPED = "left out of "
_WORDS = {"exact": "byte-equal to", "near": "a near duplicate of"}


class Leak(NamedTuple):
    """An image that is used in training or validation, and again in a later part.

    Attributes:
        path: the image in the earlier part.
        part: the earlier part.
        of: its duplicate in the later part.
        of_part: the later part.
        kind: exact or near.
    """

    path: str
    part: str
    of: str
    of_part: str
    kind: str


def leaks(rows: Sequence[Row], alike: Sequence[Alike]) -> list[Leak]:
    """Return every image that has a duplicate in a later part than its own, sorted by path."""
    known = {row.path: row for row in rows}
    groups: dict[int, list[Row]] = defaultdict(list)
    for one in alike:
        if one.path in known and known[one.path].part:
            groups[one.group].append(known[one.path])
    leaking = []
    for group in groups.values():
        last = max(group, key=lambda row: _RANK[row.part])
        leaking += [_leak(row, group) for row in group if row.part != last.part]
    return sorted(leaking)


def _leak(row: Row, group: Sequence[Row]) -> Leak:
    latest = max(_RANK[other.part] for other in group)
    later = [other for other in group if _RANK[other.part] == latest]
    # An equal copy says more to the user than a near duplicate.
    of = next((other for other in later if other.sha256 == row.sha256), later[0])
    return Leak(row.path, row.part, of.path, of.part, "exact" if of.sha256 == row.sha256 else "near")


def resolved(choice: Literal["auto"] | Choice, *, as_published: bool) -> Choice:
    """Return the choice that `auto` stands for.

    Args:
        choice: value of params.yaml.
        as_published: whether the parts or their numbers of images per class are published, so that dropping images
            would depart from the papers.
    """
    if choice != "auto":
        return choice
    return "allow" if as_published else "refuse"


def check(leaking: Sequence[Leak], *, key: str) -> None:
    """Refuse a set with leaks.

    Args:
        leaking: the leaks.
        key: key of `on_leak` in params.yaml, for the message.

    Raises:
        InputError: for the first leak, with the number of others.
    """
    if leaking:
        first = leaking[0]
        more = f" (and {len(leaking) - 1} more such images)" if len(leaking) > 1 else ""
        raise InputError(
            f"{first.path!r} in {first.part} is {_WORDS[first.kind]} {first.of!r} in {first.of_part}{more}; remove "
            f"one, or leave such images out of {first.part}, -S {key}=drop, or let them be, -S {key}=allow"
        )


def rejections(leaking: Sequence[Leak]) -> list[Rejected]:
    """Return the rows of rejected.csv for images that are dropped."""
    return [
        Rejected(leak.path, f"{DROPPED}{leak.part}: {_WORDS[leak.kind]} {leak.of!r} in {leak.of_part}")
        for leak in leaking
    ]
