"""Successive halving: all candidates are tried a little, the better half of them more, and so on."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

# So many are left at the end, to be compared with each other.
FINALISTS = 2


class Round(NamedTuple):
    """A round of trials.

    Attributes:
        candidates: how many are tried.
        repeats: how many repeats each of them has in the end, those of earlier rounds included.
    """

    candidates: int
    repeats: int


def rounds(candidates: int, *, scale: int = 1) -> list[Round]:
    """Return the rounds, each with half the candidates of the one before and twice its repeats.

    Jamieson and Talwalkar 2016 (arXiv 1502.07943), Algorithm 1, with repeats in place of epochs: a training of few
    epochs ranks settings by how fast they begin.

    Args:
        candidates: >= 1.
        scale: the repeats of the first round.

    >>> rounds(6)
    [Round(candidates=6, repeats=1), Round(candidates=3, repeats=2), Round(candidates=2, repeats=4)]
    """
    plan, left = [Round(candidates, scale)], candidates
    while left > FINALISTS:
        left = max(FINALISTS, math.ceil(left / 2))
        plan.append(Round(left, 2 * plan[-1].repeats))
    return plan


def price(costs: Sequence[float], *, scale: int = 1) -> float:
    """Return what all rounds are expected to cost, if those that are left cost as much as the mean of all.

    Args:
        costs: of one training of each candidate, in any unit; at least one.
        scale: the repeats of the first round.

    >>> price([1.0] * 6)
    13.0
    """
    before, trainings = 0, 0
    for one in rounds(len(costs), scale=scale):
        trainings += one.candidates * (one.repeats - before)
        before = one.repeats
    return trainings * fmean(costs)


def affordable(costs: Sequence[float], budget: float) -> list[Round]:
    """Return the rounds that a budget pays: of as many candidates as it can, then of as many repeats.

    Args:
        costs: of one training of each candidate, the most promising candidate first.
        budget: in the same unit.

    Returns:
        The rounds of the first so many candidates; an empty list where the budget does not pay one training.

    >>> affordable([1.0] * 8, 6)
    [Round(candidates=4, repeats=1), Round(candidates=2, repeats=2)]
    """
    number = next((n for n in range(len(costs), 0, -1) if price(costs[:n]) <= budget), 0)
    if not number:
        return []
    scale = 1
    while price(costs[:number], scale=scale + 1) <= budget:
        scale += 1
    return rounds(number, scale=scale)


def better(scores: Mapping[str, float], costs: Mapping[str, float], keep: int) -> list[str]:
    """Return the names of the candidates that go on: those of the higher scores, of equal ones the cheaper.

    >>> better({"a": 0.8, "b": 0.9, "c": 0.8}, {"a": 3.0, "b": 5.0, "c": 1.0}, 2)
    ['b', 'c']
    """
    return sorted(scores, key=lambda name: (-scores[name], costs[name], name))[:keep]
