"""Options that a method cannot be made with are refused."""

import math
from collections.abc import Iterable

from pipeline.core.errors import InputError
from pipeline.regularizers.contract import Shapes


def strength(name: str, option: str, value: float) -> float:
    """A factor of a term as it was given.

    Args:
        name: the method's, for the error.
        option: the factor's.
        value: what was given.

    Raises:
        InputError: for one that is negative or not finite.

    >>> strength("ast", "alpha", 0.1)
    0.1
    """
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"regularizer {name!r}: {option} {value} is no strength; give 0 or more")
    return value


def one_of(name: str, option: str, value: str, known: Iterable[str]) -> str:
    """A choice as it was given.

    Raises:
        InputError: listing the known ones.

    >>> one_of("l2_sp", "covers", "all", ["kernels", "all"])
    'all'
    """
    known = list(known)
    if value not in known:
        raise InputError(f"regularizer {name!r}: {option} {value!r} is not known; known: {', '.join(known)}")
    return value


def maps(name: str, shapes: Shapes) -> dict[str, tuple[int, int, int]]:
    """The sizes (C, H, W) by tap.

    Raises:
        InputError: for no tap at all, and for one that gives tokens or a vector in place of a map.

    >>> maps("ast", {"conv": (3, 4, 4)})
    {'conv': (3, 4, 4)}
    """
    if not shapes:
        raise InputError(f"regularizer {name!r}: no tap is named; name at least one module")
    checked = {}
    for tap, shape in shapes.items():
        if len(shape) != 3:
            raise InputError(
                f"regularizer {name!r} needs feature maps (C, H, W), and {tap} gives {tuple(shape)}; use l2 or l2_sp"
            )
        checked[tap] = (shape[0], shape[1], shape[2])
    return checked


def reduced(name: str, channels: int, reduction: int) -> int:
    """How many hidden units a reduction leaves, rounded down.

    Raises:
        InputError: for a reduction under 1 or one that leaves none.

    >>> reduced("gca", 3840, 4)
    960
    """
    if not 1 <= reduction <= channels:
        raise InputError(
            f"regularizer {name!r}: reduction {reduction} is out of range for {channels} channels; give 1 to {channels}"
        )
    return channels // reduction
