"""Successive halving: all candidates are tried a little, the better half of them more, and so on."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from statistics import fmean
from typing import NamedTuple

# So many are left at the end, to be compared with each other.
FINALISTS = 2
# Decimals of a mean of whole numbers, beyond which there is rounding alone: (8 + 8 + 15) / 21 and (8 + 9 + 14) / 21.
DIGITS = 9


class Round(NamedTuple):
    """A round of trials.

    Attributes:
        candidates: how many are tried.
        repeats: how many repeats each of them has in the end, those of earlier rounds included.
    """

    candidates: int
    repeats: int


class Tried(NamedTuple):
    """The result of a candidate.

    Attributes:
        accuracy: the mean over its repeats.
        seconds: of a training, the mean; or its cost in another unit.
    """

    accuracy: float
    seconds: float


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


def price(costs: Sequence[float], plan: Sequence[Round]) -> float:
    """Return what rounds are expected to cost, if those that are left cost as much as the mean of the first round's.

    Args:
        costs: of one training of each candidate of the first round, in any unit; at least one.
        plan: the rounds.

    >>> price([1.0] * 6, rounds(6))
    13.0
    """
    before, trainings = 0, 0
    for one in plan:
        trainings += one.candidates * (one.repeats - before)
        before = one.repeats
    return trainings * fmean(costs)


def affordable(costs: Sequence[float], budget: float) -> list[Round]:
    """Return the rounds that a budget pays: the first of as many candidates as it can, then the rounds after it.

    Many candidates once find a better one than few of them often (docs/advice-proof.md). So the first round has all
    that the budget pays, and the last rounds are left out where it does not pay them; only where it pays all of them
    has each round more repeats. A single candidate is tried once: there is none to compare it with.

    Args:
        costs: of one training of each candidate, the most promising candidate first.
        budget: in the same unit.

    Returns:
        The rounds of the first so many candidates; an empty list where the budget does not pay one training.

    >>> affordable([1.0] * 8, 6)
    [Round(candidates=6, repeats=1)]
    >>> affordable([1.0] * 8, 12)
    [Round(candidates=8, repeats=1), Round(candidates=4, repeats=2)]
    """
    number = sum(total <= budget for total in accumulate(costs))
    if not number:
        return []
    tried, scale = costs[:number], 1
    while number > 1 and price(tried, rounds(number, scale=scale + 1)) <= budget:
        scale += 1
    plan = rounds(number, scale=scale)
    return next(plan[:end] for end in range(len(plan), 0, -1) if end == 1 or price(tried, plan[:end]) <= budget)


def run(
    names: Sequence[str], plan: Sequence[Round], attempt: Callable[[Sequence[str], int], Mapping[str, Tried]]
) -> dict[str, int]:
    """Try candidates as the rounds say, and return the last round of each, counted from 1.

    Args:
        names: of at least as many candidates as the first round has; the first are tried.
        plan: the rounds.
        attempt: returns, for candidates and a number of repeats, what each gave over these; one that failed is left
            out, and goes no further.
    """
    left, last = list(names[: plan[0].candidates]), dict[str, int]()
    for number, one in enumerate(plan, start=1):
        results = attempt(left, one.repeats)
        last |= dict.fromkeys(results, number)
        if number < len(plan):
            scores = {name: one.accuracy for name, one in results.items()}
            left = better(scores, {name: one.seconds for name, one in results.items()}, plan[number].candidates)
    return last


def better(scores: Mapping[str, float], costs: Mapping[str, float], keep: int) -> list[str]:
    """Return the names of the candidates that go on: those of the higher scores, of equal ones the cheaper.

    >>> better({"a": 0.8, "b": 0.9, "c": 0.8}, {"a": 3.0, "b": 5.0, "c": 1.0}, 2)
    ['b', 'c']
    """
    return sorted(scores, key=lambda name: (-round(scores[name], DIGITS), costs[name], name))[:keep]
