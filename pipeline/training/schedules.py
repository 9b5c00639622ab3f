"""Learning-rate schedules: one function per row of `table.SCHEDULES`, under the row's name.

Arguments are the iterations of each phase under the schedule, and the options by keyword.
"""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

# The factor of the first rate at a step, counted from 0 through all phases under one schedule.
Factor = Callable[[int], float]


def constant(_parts: Sequence[int]) -> Factor:
    """Build a constant factor of 1."""
    return lambda _step: 1.0


def step(parts: Sequence[int], *, at: Sequence[float], factor: float) -> Factor:
    """Build a decay by `factor` after each of the fractions `at` of each part; a part starts at the last rate."""
    begins = [end - part for end, part in zip(accumulate(parts), parts, strict=True)]
    # At least one step before a fall, however short the part.
    falls = [begin + max(1, round(one * part)) for begin, part in zip(begins, parts, strict=True) for one in at]
    return lambda step: float(factor ** sum(step >= fall for fall in falls))


def cosine(parts: Sequence[int], *, final: float) -> Factor:
    """Build half a cosine from 1 to `final` through all parts.

    Torch's CosineAnnealingLR has one last rate for all groups; here each group falls to the same fraction of its own
    first rate.
    """
    steps = sum(parts)
    return lambda step: float(final + (1 - final) * (1 + math.cos(math.pi * step / steps)) / 2)


def exponential(parts: Sequence[int], *, factor: float, every: float) -> Factor:
    """Build an exponential decay through all parts, by `factor` in the fraction `every` of them."""
    steps = sum(parts)
    return lambda step: float(factor ** (step / (every * steps)))
