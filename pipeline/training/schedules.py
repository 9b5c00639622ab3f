"""Learning-rate schedules: one function a row of `table.SCHEDULES`, under its name.

Each takes the iterations of each part of the budget that the schedule is for, and its options by keyword.
"""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

# What a rate is multiplied by at a step, counted from 0 through all parts of the budget that have one schedule.
Factor = Callable[[int], float]


def constant(_parts: Sequence[int]) -> Factor:
    """Return the first rate throughout."""
    return lambda _step: 1.0


def step(parts: Sequence[int], *, at: Sequence[float], factor: float) -> Factor:
    """Return falls by `factor` after each of the fractions `at` of each part; the next part begins where one ended."""
    begins = [end - part for end, part in zip(accumulate(parts), parts, strict=True)]
    falls = [begin + max(1, round(one * part)) for begin, part in zip(begins, parts, strict=True) for one in at]
    return lambda step: float(factor ** sum(step >= fall for fall in falls))


def cosine(parts: Sequence[int], *, final: float) -> Factor:
    """Return half a cosine from 1 to `final` through all parts.

    Torch's CosineAnnealingLR has one last rate for all groups; here each falls to the same fraction of its own first.
    """
    steps = sum(parts)
    return lambda step: float(final + (1 - final) * (1 + math.cos(math.pi * step / steps)) / 2)


def exponential(parts: Sequence[int], *, factor: float, every: float) -> Factor:
    """Return an exponential through all parts, which is `factor` after the fraction `every` of them."""
    steps = sum(parts)
    return lambda step: float(factor ** (step / (every * steps)))
