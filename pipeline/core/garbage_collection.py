"""Garbage collection, which takes longer the more objects there are."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def frozen() -> Iterator[None]:
    """Leave what there is now out of garbage collection, which would look at all of it time and again."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
