"""A map over many items on all cores: results in order, bounded memory, no process left after Ctrl-C."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from multiprocessing import connection
from typing import TypeVar

from pipeline.core.errors import InputError
from pipeline.core.seeding import cores

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# Workers take about a second to start, on all cores: less work than that is done without them.
_SECONDS_ALONE = 1.0
_AHEAD_PER_WORKER = 4


def mapped(
    work: Callable[[ItemT], ResultT], items: Sequence[ItemT], *, ahead: int = 0
) -> closing[Generator[ResultT, None, None]]:
    """Apply a function to every item on all cores; for use in a `with` block.

    An early exit from the block, as by Ctrl-C, stops all work at once.

    Args:
        work: a function that can be pickled: at a module's top level, or a `functools.partial` of one.
        items: items that can be pickled, as their results can.
        ahead: results that may wait in memory where four per worker are fewer: as many as are taken at once keep the
            workers busy meanwhile.

    Returns:
        A context manager with an iterator over the results in order; at most four per worker, or `ahead`, wait in
        memory.

    Raises:
        InputError: while iterating, if the system killed a worker.
    """
    return closing(_results(work, items, ahead))


def _results(work: Callable[[ItemT], ResultT], items: Sequence[ItemT], ahead: int) -> Generator[ResultT, None, None]:
    seconds, done = 0.0, 0
    while done < len(items) and (cores() == 1 or _is_little(seconds, done, len(items) - done)):
        started = time.perf_counter()
        result = work(items[done])
        # Without what is done with a result, which workers do not share.
        seconds += time.perf_counter() - started
        done += 1
        yield result
    if done < len(items):
        yield from _with_workers(work, items[done:], ahead)


def _is_little(seconds: float, done: int, left: int) -> bool:
    """Return whether too little work is left for workers, at the pace of what is done; a first few tell nothing."""
    return seconds < _SECONDS_ALONE / 10 or seconds * left < _SECONDS_ALONE * done


def _with_workers(
    work: Callable[[ItemT], ResultT], items: Sequence[ItemT], ahead: int
) -> Generator[ResultT, None, None]:
    count = min(cores(), len(items))
    # Only our own workers may be killed below.
    others = set(multiprocessing.active_children())
    # A new interpreter per worker: a fork would copy locks that threads of this process may hold.
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_prepare_worker)
    try:
        with _blocked_interrupts():
            started = [pool.submit(_nothing) for _ in range(count)]
        done = 0
        while done < len(items) and not any(one.done() for one in started):
            yield work(items[done])
            done += 1
        yield from _in_order(pool, work, items[done:], ahead=max(count * _AHEAD_PER_WORKER, ahead))
    except BrokenProcessPool:
        raise InputError(
            "a worker process was killed, probably for lack of memory; end other programs, or put "
            f"`taskset -c {_fewer(count)}` before the same command, for fewer processes"
        ) from None
    finally:
        # Nothing that they still do is needed, whether all is done or an error ends it; one may just be starting.
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        pool.shutdown(cancel_futures=True)


def _fewer(count: int) -> str:
    """Return the cores that leave half as many processes, as `taskset` has them; on one there are no workers.

    >>> _fewer(2), _fewer(16)
    ('0', '0-7')
    """
    return "0" if count < 4 else f"0-{count // 2 - 1}"


def _nothing() -> None:
    """Tell that a worker has started."""


def _in_order(
    pool: ProcessPoolExecutor, work: Callable[[ItemT], ResultT], items: Sequence[ItemT], *, ahead: int
) -> Iterator[ResultT]:
    # Results wait in a queue of bounded length: a slow consumer must not fill the memory.
    waiting: deque[Future[ResultT]] = deque()
    for item in items:
        # A submission may start a worker, which inherits the blocked signals.
        with _blocked_interrupts():
            waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _blocked_interrupts() -> Iterator[None]:
    """Block Ctrl-C for the duration of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and exit when the parent ends, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
