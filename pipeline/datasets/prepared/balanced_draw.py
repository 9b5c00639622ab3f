"""A draw of about a fraction of each class in whole groups of images, which may be of several classes."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple, Self

import numpy as np

from pipeline.datasets.prepared.manifest import Row

# Random orders of the groups that are tried, of which the first that comes near is taken, else the nearest.
_ORDERS = 10
# The same, as long as a class is left without images that have several groups.
_MOST_ORDERS = 100
# Of a class's images: a draw is near that misses the class's count by this fraction, by half a group, or by one image.
_NEAR = 0.03


def drawn(rows: Sequence[Row], fraction: float, entropy: tuple[int, ...]) -> set[str]:
    """Return the paths of about a fraction of each class, drawn in whole groups, which may be of several classes.

    In a random order, a group is drawn if the fractions come nearer to the ones asked for, in the sum of squares over
    the classes, and never the last one of a class. So a group that is far larger than its class's fraction is seldom
    drawn, as there is no division that comes near with it.
    """
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        groups[row.sha256][row.label] += 1
    counts = _Counts.of(groups, fraction)
    rng = np.random.default_rng(entropy)
    # Hashes are sorted first, so that names of files have no influence.
    ordered = sorted(groups)
    nearest = draw = _Draw(counts).drawn(rng.permutation(ordered).tolist())
    for number in range(1, _MOST_ORDERS):
        if draw.is_near() or (number >= _ORDERS and not nearest.lacking()):
            break
        draw = _Draw(counts).drawn(rng.permutation(ordered).tolist())
        nearest = min(nearest, draw, key=_Draw.distance)
    selected = draw.selected if draw.is_near() else nearest.selected
    return {row.path for row in rows if row.sha256 in selected}


class _Counts(NamedTuple):
    """Numbers of images.

    Attributes:
        groups: of each class, by group.
        totals: by class.
        wanted: of each class, to draw.
        near: by how many a draw may miss these.
        divisible: the classes of several groups, each of which is to have images on both sides.
    """

    groups: Mapping[str, Counter[str]]
    totals: Mapping[str, int]
    wanted: Mapping[str, int]
    near: Mapping[str, float]
    divisible: frozenset[str]

    @classmethod
    def of(cls, groups: Mapping[str, Counter[str]], fraction: float) -> Self:
        """Count the images of groups of which a fraction is to be drawn; at least one, and at least one remains."""
        sizes: dict[str, list[int]] = defaultdict(list)
        for counts in groups.values():
            for label, count in counts.items():
                sizes[label].append(count)
        totals = {label: sum(counts) for label, counts in sizes.items()}
        wanted = {label: min(max(round(fraction * n), 1), n - 1) for label, n in totals.items()}
        near = {label: max(1.0, _NEAR * totals[label], median(counts) / 2) for label, counts in sizes.items()}
        return cls(groups, totals, wanted, near, frozenset(label for label, one in sizes.items() if len(one) > 1))


class _Draw:
    """Groups that are drawn, and by how much each class misses its count."""

    def __init__(self, counts: _Counts) -> None:
        self.counts = counts
        self.missing = dict(counts.wanted)
        self.left = dict(counts.totals)
        self.selected: set[str] = set()

    def drawn(self, order: Sequence[str]) -> "_Draw":
        """Draw groups in an order; then one for each class that has none, the one that harms least."""
        for group in order:
            if self._may_go(group) and self._change(group) < 0:
                self._select(group)
        for label in sorted(self.lacking()):
            free = [group for group in order if label in self.counts.groups[group] and self._may_go(group)]
            if free and label in self.lacking():
                self._select(min(free, key=self._change))
        return self

    def lacking(self) -> frozenset[str]:
        """Return the classes of several groups of which none is drawn."""
        return frozenset(label for label in self.counts.divisible if self.left[label] == self.counts.totals[label])

    def distance(self) -> tuple[int, float]:
        """Return how many classes lack images, and the sum of squares of the fractions missing or too much."""
        squares = ((missing / self.counts.totals[label]) ** 2 for label, missing in self.missing.items())
        return len(self.lacking()), sum(squares)

    def is_near(self) -> bool:
        """Return whether no class misses its count by much, or lacks images."""
        near = all(abs(missing) <= self.counts.near[label] for label, missing in self.missing.items())
        return near and not self.lacking()

    def _may_go(self, group: str) -> bool:
        return all(self.left[label] > count for label, count in self.counts.groups[group].items())

    def _change(self, group: str) -> float:
        """Return by how much the sum of squares would grow."""
        return sum(
            ((self.missing[label] - count) ** 2 - self.missing[label] ** 2) / self.counts.totals[label] ** 2
            for label, count in self.counts.groups[group].items()
        )

    def _select(self, group: str) -> None:
        self.selected.add(group)
        for label, count in self.counts.groups[group].items():
            self.left[label] -= count
            self.missing[label] -= count
