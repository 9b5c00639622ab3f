"""A draw of about a fraction of each class in whole groups of images, which may be of several classes."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.datasets.prepared.manifest import Row

# Random orders of the groups, from which the draw that comes nearest to the fractions is taken.
_ORDERS = 10


def drawn(rows: Sequence[Row], fraction: float, entropy: tuple[int, ...]) -> set[str]:
    """Return the paths of about a fraction of each class, drawn in whole groups, which may be of several classes.

    A group is drawn where the fractions come nearer to the ones asked for, in the sum of squares over the classes, and
    never the last one of a class. Of a few orders of the groups, that which comes nearest is taken.
    """
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        groups[row.sha256][row.label] += 1
    rng = np.random.default_rng(entropy)
    # Hashes are sorted first, so that names of files have no influence.
    ordered = sorted(groups)
    draws = (_Draw(groups, fraction).drawn(rng.permutation(ordered).tolist()) for _ in range(_ORDERS))
    nearest = min(draws, key=_Draw.distance)
    return {row.path for row in rows if row.sha256 in nearest.selected}


class _Draw:
    """Groups that are drawn, and by how much each class misses its count."""

    def __init__(self, groups: Mapping[str, Counter[str]], fraction: float) -> None:
        self.groups = groups
        self.totals: Counter[str] = sum(groups.values(), Counter())
        # Counts still to be drawn, and left to the rest.
        self.missing = {label: min(max(round(fraction * n), 1), n - 1) for label, n in self.totals.items()}
        self.left = Counter(self.totals)
        self.selected: set[str] = set()

    def drawn(self, order: Sequence[str]) -> "_Draw":
        """Draw groups in an order; then one for each class that has none, the one that harms least."""
        for group in order:
            if self._may_go(group) and self._change(group) < 0:
                self._select(group)
        for label in sorted(self.totals):
            if self.left[label] == self.totals[label]:
                free = [group for group in order if label in self.groups[group] and self._may_go(group)]
                if free:
                    self._select(min(free, key=self._change))
        return self

    def distance(self) -> float:
        """Return the sum of squares over the classes of the fraction that is missing or too much."""
        return sum((missing / self.totals[label]) ** 2 for label, missing in self.missing.items())

    def _may_go(self, group: str) -> bool:
        return all(self.left[label] > count for label, count in self.groups[group].items())

    def _change(self, group: str) -> float:
        """Return by how much the distance would grow."""
        return sum(
            ((self.missing[label] - count) ** 2 - self.missing[label] ** 2) / self.totals[label] ** 2
            for label, count in self.groups[group].items()
        )

    def _select(self, group: str) -> None:
        self.selected.add(group)
        self.left -= self.groups[group]
        for label, count in self.groups[group].items():
            self.missing[label] -= count
