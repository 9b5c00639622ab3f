"""Work on many files on all cores: results in order, memory bounded, nothing left running after Ctrl-C."""

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

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# Starting the workers takes about a second, so what is done by then is done without them.
_SECONDS_ALONE = 1.0
_AHEAD_PER_WORKER = 4


def mapped(work: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> closing[Generator[ResultT, None, None]]:
    """Do the work on every item and give the results in the items' order, inside a `with` block.

    Leaving the block early, as Ctrl-C does, stops all work at once.

    Args:
        work: a function that can be pickled: of a module's top level, or a `functools.partial` of one.
        items: can be pickled, as the results can.

    Returns:
        A context manager that gives an iterator over the results, of which at most four a worker are held.

    Raises:
        InputError: while iterating, where the system killed a worker.
    """
    return closing(_results(work, items))


def _results(work: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> Generator[ResultT, None, None]:
    end = time.monotonic() + _SECONDS_ALONE
    alone = 0
    while alone < len(items) and (_cores() == 1 or time.monotonic() < end):
        yield work(items[alone])
        alone += 1
    if alone < len(items):
        yield from _with_workers(work, items[alone:])


def _with_workers(work: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> Generator[ResultT, None, None]:
    count = min(_cores(), len(items))
    others = set(multiprocessing.active_children())
    # A fresh interpreter a worker: a fork would copy locks that threads of this process may hold.
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield from _in_order(pool, work, items, ahead=count * _AHEAD_PER_WORKER)
    except BrokenProcessPool:
        raise InputError("a worker process was killed, mostly for want of memory; nothing was kept") from None
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, work: Callable[[ItemT], ResultT], items: Sequence[ItemT], *, ahead: int
) -> Iterator[ResultT]:
    waiting: deque[Future[ResultT]] = deque()
    for item in items:
        with _interrupts_held():
            waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _cores() -> int:
    """The cores that this process may use, which on a shared machine can be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while a worker may be starting, who inherits this and so never sees one."""
    held = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Leave Ctrl-C to the parent, and go when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
