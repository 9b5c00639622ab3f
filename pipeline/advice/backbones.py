"""The choice of backbones before any is trained: by a classifier on the features of each, frozen."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.evaluation.compare.statistics import Interval

# So many go on to the trials.
KEPT = 2


class Frozen(NamedTuple):
    """A frozen backbone.

    Attributes:
        name: of the backbone.
        accuracy: of the logistic regression on its features, by nested cross-validation inside the training part.
        interval: 95 %, of the accuracy; None where there is none.
        seconds: that the features and all fits took, when they were computed.
    """

    name: str
    accuracy: float
    interval: Interval | None
    seconds: float


def judged(frozen: Sequence[Frozen]) -> list[tuple[Frozen, bool]]:
    """Return each with whether it goes on, those first that do, the best first."""
    names = best(frozen)
    return sorted(((one, one.name in names) for one in frozen), key=lambda pair: (not pair[1], -pair[0].accuracy))


def best(frozen: Sequence[Frozen]) -> list[str]:
    """Return the names of those that go on, the best first; of equal ones the quicker.

    >>> best([Frozen("a", 0.7, None, 1.0), Frozen("b", 0.9, None, 9.0), Frozen("c", 0.9, None, 1.0)])
    ['c', 'b']
    """
    return [one.name for one in sorted(frozen, key=lambda one: (-one.accuracy, one.seconds))[:KEPT]]
