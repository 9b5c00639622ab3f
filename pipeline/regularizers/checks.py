"""Checks of the methods' options, also against a network's maps; imports neither torch nor pydantic."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeline.core.errors import InputError

if TYPE_CHECKING:
    from pipeline.regularizers.contract import Shapes


def strength(name: str, option: str, value: float) -> float:
    """Check the weight of a loss term and return it.

    Args:
        name: the method, for the message.
        option: name of the weight, for the message.
        value: the weight.

    Raises:
        InputError: for a weight that is negative or not finite.

    >>> strength("ast", "alpha", 0.1)
    0.1
    """
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"regularizer {name!r}: {option} {value} is out of range; give a finite number of 0 or more")
    return value


def one_of(name: str, option: str, value: str, known: Iterable[str]) -> str:
    """Check a choice and return it.

    Raises:
        InputError: for an unknown one, listing the known ones.

    >>> one_of("l2_sp", "covers", "all", ["kernels", "all"])
    'all'
    """
    known = list(known)
    if value not in known:
        raise InputError(f"regularizer {name!r}: {option} {value!r} is not known; known: {', '.join(known)}")
    return value


def maps(name: str, shapes: "Shapes") -> dict[str, tuple[int, int, int]]:
    """Check that all layers give feature maps, and return their sizes (C, H, W).

    Raises:
        InputError: without any layer, and for one whose output is tokens or a vector.

    >>> maps("ast", {"conv": (3, 4, 4)})
    {'conv': (3, 4, 4)}
    """
    if not shapes:
        raise InputError(f"regularizer {name!r}: no layer is named; name at least one module")
    sizes = {}
    for layer, shape in shapes.items():
        if len(shape) != 3:
            raise InputError(
                f"regularizer {name!r} needs feature maps (C, H, W), and {layer} gives {tuple(shape)}; use l2 or l2_sp"
            )
        sizes[layer] = (shape[0], shape[1], shape[2])
    return sizes


def reduced(name: str, channels: int, reduction: int) -> int:
    """Return channels / reduction, rounded down: the number of hidden units.

    Raises:
        InputError: for a reduction under 1, or one that leaves no hidden unit.

    >>> reduced("gca", 3840, 4)
    960
    """
    if not 1 <= reduction <= channels:
        raise InputError(
            f"regularizer {name!r}: reduction {reduction} is out of range for {channels} channels; give 1 to {channels}"
        )
    return channels // reduction
