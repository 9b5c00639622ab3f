"""Options of the mechanisms: their types, and checks that need a network's channels. Imports no torch."""

from typing import Literal

from pipeline.core.errors import InputError
from pipeline.core.types import Count, Kernel, Rate, Section

PositionName = Literal["every_stage", "residual_block", "last_stage"]
GateInit = Literal["paper", "identity"]


class Placed(Section):
    """Options that every attention mechanism has: where its modules go."""

    position: PositionName


class Gated(Placed):
    """`paper`: gates start near one half; `identity`: at one, so that the network starts as it was."""

    gate_init: GateInit


class ReducedOptions(Gated):
    """A bottleneck of 1 / `reduction` of the channels."""

    reduction: Count


class SpatialOptions(Gated):
    """The side of the convolution over positions."""

    kernel_size: Kernel


class CbamOptions(ReducedOptions):
    """Both."""

    kernel_size: Kernel


class SelfOptions(Placed):
    """Queries and keys of 1 / `reduction` of the channels."""

    reduction: Count


class CscaOptions(CbamOptions):
    """One map for channels and positions together, or one after the other."""

    mode: Literal["joint", "sequential"]


class HierarchicalOptions(ReducedOptions):
    """Whether past maps are one more map, and how slowly their mean moves."""

    temporal_memory: bool
    memory_momentum: Rate


def reduced(name: str, channels: int, reduction: int) -> int:
    """How many channels a reduction leaves, rounded down.

    Args:
        name: the mechanism's, for the error.
        channels: C.
        reduction: r.

    Raises:
        InputError: for a reduction under 1 or one that leaves no channel.

    >>> reduced("se", 2048, 16)
    128
    >>> reduced("se", 100, 16)
    6
    """
    if reduction < 1:
        raise InputError(f"attention {name!r}: reduction {reduction} is under 1; give 1 to {channels}")
    if reduction > channels:
        raise InputError(
            f"attention {name!r}: reduction {reduction} leaves none of {channels} channels; give at most {channels}"
        )
    return channels // reduction


def padding(name: str, kernel_size: int) -> int:
    """The zeros on each side with which a convolution keeps the map's size.

    Raises:
        InputError: for a kernel that has no middle.

    >>> padding("spatial", 7)
    3
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise InputError(f"attention {name!r}: kernel_size {kernel_size} has no middle; give an odd number")
    return kernel_size // 2
