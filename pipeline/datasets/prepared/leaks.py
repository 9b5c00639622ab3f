"""Copies and groups where they do harm: in two of a set's own parts (leaks), in two classes, twice in a test part."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from pipeline.core import paths
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.datasets.prepared.groups import NAMED, grouped
from pipeline.datasets.prepared.manifest import DROPPED, Alike, Pair, Rejected, Row

Choice = Literal["refuse", "drop", "allow"]
# Its key in params.yaml, as -S takes it.
ON_LEAK = "defaults.data.on_leak"

# A group stays in the part that is used last: the test part never shrinks in favor of training.
_RANK = {"train": 0, "val": 1, "test": 2}
_CLASH = {True: "the same image", False: "copies of one photograph (one lies on the other, pixel by pixel)"}
_WORDS = {"exact": "byte-equal to", "near": "a near duplicate of", NAMED: "of the same group as"}


class Leak(NamedTuple):
    """An image that is used in training or validation, and again, or another one of its group, in a later part.

    Attributes:
        path: the image in the earlier part.
        part: the earlier part.
        of: its duplicate in the later part, or an image of its group.
        of_part: the later part.
        kind: exact, near or group.
    """

    path: str
    part: str
    of: str
    of_part: str
    kind: str


class Parted(Protocol):
    """An image whose part and group are known, such as a row of the manifest."""

    @property
    def part(self) -> str:
        """Train, val or test; "" where the set has no parts."""

    @property
    def group(self) -> str:
        """Group that the user named; "" without one."""


def leaks(rows: Sequence[Row], pairs: Sequence[Pair]) -> list[Leak]:
    """Return every image that has a copy, or an image of its group, in a later part than its own, sorted by path.

    Images that are merely alike are none. A copy is named where there is one.
    """
    parted = {row.path: row for row in rows if row.part}
    copies = [pair for pair in pairs if pair.is_copy]
    leaking = _across(grouped(copies), parted, "near")
    of_groups = _across(grouped(copies, parted.values()), parted, NAMED)
    return sorted((of_groups | leaking).values())


def _across(alike: Sequence[Alike], parted: Mapping[str, Row], kind: str) -> dict[str, Leak]:
    """Return by path the images of groups that are in several parts."""
    groups: dict[int, list[Row]] = defaultdict(list)
    for one in alike:
        if one.path in parted:
            groups[one.group].append(parted[one.path])
    leaking: dict[str, Leak] = {}
    for group in groups.values():
        last = max(group, key=lambda row: _RANK[row.part])
        leaking |= {row.path: _leak(row, group, kind) for row in group if row.part != last.part}
    return leaking


def _leak(row: Row, group: Sequence[Row], kind: str) -> Leak:
    latest = max(_RANK[other.part] for other in group)
    later = [other for other in group if _RANK[other.part] == latest]
    # An equal copy says more to the user than a near duplicate.
    of = next((other for other in later if other.sha256 == row.sha256), later[0])
    return Leak(row.path, row.part, of.path, of.part, "exact" if of.sha256 == row.sha256 else kind)


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


def check(leaking: Sequence[Leak]) -> None:
    """Refuse a set with leaks.

    Args:
        leaking: the leaks.

    Raises:
        InputError: for the first leak, with the number of others.
    """
    if leaking:
        first = leaking[0]
        listed = paths.GROUPS if any(leak.kind == NAMED for leak in leaking) else paths.PAIRS
        more = f" (and {len(leaking) - 1} more in {listed})" if len(leaking) > 1 else ""
        mend = "put the group into one part" if first.kind == NAMED else "remove one"
        raise InputError(
            f"{first.path!r} in {first.part} is {_WORDS[first.kind]} {first.of!r} in {first.of_part}{more}; {mend}, "
            f"or leave such images out of {first.part}, -S {ON_LEAK}=drop, or let them be, -S {ON_LEAK}=allow"
        )


def check_groups(images: Iterable[Parted]) -> None:
    """Refuse named groups in several of a set's own parts, as `check` does of collected images.

    Raises:
        InputError: for the first group, with the number of others.
    """
    of_group: dict[str, set[str]] = defaultdict(set)
    for image in images:
        if image.group and image.part:
            of_group[image.group].add(image.part)
    across = [(group, sorted(parts, key=_RANK.__getitem__)) for group, parts in of_group.items() if len(parts) > 1]
    if across:
        group, parts = across[0]
        more = f" (and {len(across) - 1} more groups)" if len(across) > 1 else ""
        raise InputError(
            f"metadata.csv: the group {group!r} is in {' and '.join(parts)}{more}; put it into one part, or leave its "
            f"images out of the earlier, -S {ON_LEAK}=drop, or let them be, -S {ON_LEAK}=allow"
        )


def note(leaking: Sequence[Leak], choice: Choice) -> str:
    """Return how many leaks are let be or left out, with the first."""
    done = "left out" if choice == "drop" else "let be"
    first = leaking[0]
    are, have_their = ("is", "has its") if len(leaking) == 1 else ("are", "have their")
    or_group = f", or {have_their} group there," if any(leak.kind == NAMED for leak in leaking) else ""
    return (
        f"on_leak is {choice!r}: {counted(len(leaking), 'image')} of an earlier part that {are} in a later one too"
        f"{or_group} {are} {done}, the first {first.path!r}, {_WORDS[first.kind]} {first.of!r}"
    )


def rejections(leaking: Sequence[Leak]) -> list[Rejected]:
    """Return images that are dropped, each with the reason."""
    return [
        Rejected(leak.path, f"{DROPPED}{leak.part}: {_WORDS[leak.kind]} {leak.of!r} in {leak.of_part}")
        for leak in leaking
    ]


def clashes(rows: Sequence[Row], pairs: Sequence[Pair]) -> list[Pair]:
    """Return the confirmed copies whose two images are in two classes."""
    label = {row.path: row.label for row in rows}
    both = [pair for pair in pairs if pair.path in label and pair.of in label]
    return [pair for pair in both if pair.confirmed == "yes" and label[pair.path] != label[pair.of]]


def check_classes(rows: Sequence[Row], pairs: Sequence[Pair], *, key: str) -> None:
    """Refuse a set with confirmed copies of one photograph in two classes.

    Args:
        rows: the images.
        pairs: the copies.
        key: key of `duplicates` in params.yaml, for the message.

    Raises:
        InputError: for the first such pair, with the number of others.
    """
    if clashing := clashes(rows, pairs):
        first = clashing[0]
        more = f" (and {len(clashing) - 1} more in {paths.PAIRS})" if len(clashing) > 1 else ""
        raise InputError(
            f"{first.of!r} and {first.path!r} are {_CLASH[first.found == 'bytes']} in two classes{more}; remove one, "
            f"or allow such pairs: -S {key}=allow"
        )
