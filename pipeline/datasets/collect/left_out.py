"""Files that a set leaves out, by what they are, so that no annotation stands in front of a damaged photograph."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from pipeline.core.counting import counted
from pipeline.datasets.prepared.manifest import DROPPED, Rejected

# How a file outside all class folders is told.
OUTSIDE = "lies beside the class folders"
# The ends of the reasons of files of which the table of labels says too little.
UNLISTED = "in metadata.csv"
# Endings of pictures, also of kinds that are not read: what has one of these, or none, was meant as a photograph.
PICTURES = frozenset(
    (
        *("", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".ppm"),
        *(".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".j2k", ".jpx", ".jxl", ".heic", ".heif", ".svg", ".psd", ".dng"),
        *(".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".ico", ".tga"),
    )
)
# What people call papers beside a set, which have no ending either.
PAPERS = frozenset(("authors", "changelog", "copying", "licence", "license", "makefile", "notice", "readme", "version"))
KINDS_SHOWN = 6


class LeftOut(NamedTuple):
    """The files that a set leaves out, each list sorted by path.

    Attributes:
        damaged: photographs that cannot be used.
        outside: photographs beside the class folders.
        unlisted: photographs without a label or a part in metadata.csv.
        dropped: copies in an earlier part of what is in a later one, as `on_leak: drop` has it.
        others: annotations, tables, notebooks and whatever else no photograph is called.
    """

    damaged: list[Rejected]
    outside: list[Rejected]
    unlisted: list[Rejected]
    dropped: list[Rejected]
    others: list[Rejected]


def divided(rejected: Sequence[Rejected]) -> LeftOut:
    """Return rejected files by what they are."""
    kinds = LeftOut([], [], [], [], [])
    for one in sorted(rejected):
        kind = kinds.damaged
        if one.reason.startswith(DROPPED):
            kind = kinds.dropped
        elif not is_picture(one.path):
            kind = kinds.others
        elif one.reason == OUTSIDE:
            kind = kinds.outside
        elif one.reason.endswith(UNLISTED):
            kind = kinds.unlisted
        kind.append(one)
    return kinds


def is_picture(path: str) -> bool:
    """Return whether a file was meant as a photograph, by its name alone.

    >>> is_picture("cat/1.JPG"), is_picture("cat/notes.txt"), is_picture("cat/readme")
    (True, False, False)
    """
    return _ending(path) in PICTURES


def endings(others: Sequence[Rejected]) -> str:
    """Return how many files of each ending there are, the most frequent first; a paper such as README by its name.

    >>> endings([Rejected("a/1.xml", ""), Rejected("b/1.XML", ""), Rejected("labels.csv", "")])
    '.xml 2, .csv 1'
    """
    counts = Counter(_ending(one.path) for one in others).most_common()
    more = f" and {len(counts) - KINDS_SHOWN} more kinds" if len(counts) > KINDS_SHOWN else ""
    return ", ".join(f"{ending} {count:,}" for ending, count in counts[:KINDS_SHOWN]) + more


def listed(rejected: Sequence[Rejected]) -> list[tuple[str, str]]:
    """Return (file, reason): damaged photographs first, and what no photograph is as one line."""
    damaged, outside, unlisted, dropped, others = divided(rejected)
    rows = [(one.path, one.reason) for one in [*damaged, *outside, *unlisted, *dropped]]
    return rows + ([(endings(others), "no photographs, passed over")] if others else [])


def summary(rejected: Sequence[Rejected], place: object) -> list[str]:
    """Return the numbers of files that are left out, in lines; the first damaged photograph is named.

    Args:
        rejected: the files.
        place: the table that lists them all.
    """
    damaged, outside, unlisted, _, others = divided(rejected)
    lines = []
    if damaged:
        first = f"{damaged[0].path!r}: {damaged[0].reason}"
        lines.append(f"{counted(len(damaged), 'photograph')} cannot be used, all in {place}, the first {first}")
    if outside:
        lines.append(f"left out beside the class folders: {len(outside):,}, the first {outside[0].path!r}")
    if unlisted:
        lines.append(
            f"left out for want of a label or part {UNLISTED}: {len(unlisted):,}, the first {unlisted[0].path!r}"
        )
    if others:
        lines.append(f"passed over, no photographs: {endings(others)}")
    return lines


def _ending(path: str) -> str:
    """Return the ending of a name, or the name itself of a paper that has none."""
    name = PurePosixPath(path)
    return name.name if name.name.casefold() in PAPERS else name.suffix.casefold()
