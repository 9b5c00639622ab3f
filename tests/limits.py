"""Limits of time that hold on slow machines too: a limit is for a usual machine, and a slower one has more."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Additions of the loop that measures a machine, and the seconds that they take on a usual one.
ADDITIONS, SECONDS = 200_000, 0.010


def slowness(clock: Callable[[], float]) -> float:
    """Return how many times as slow as a usual machine this one is at the moment, by a clock; at least 1."""
    times = []
    for _ in range(5):
        started, total = clock(), 0
        for number in range(ADDITIONS):
            total += number
        times.append(clock() - started)
    return max(1.0, sorted(times)[2] / SECONDS)


@contextmanager
def within(seconds: float, clock: Callable[[], float] = time.process_time) -> Iterator[None]:
    """Check that the block takes less than some seconds of a usual machine.

    Args:
        seconds: the limit.
        clock: `time.process_time` for what computes, since on a busy machine other clocks run on; `time.monotonic` for
            what waits or happens in another process.
    """
    started = clock()
    yield
    taken = clock() - started
    # This machine is measured only where the limit would not do.
    assert taken < seconds or taken < seconds * slowness(clock)
