"""Options of the mechanisms: their types, and checks against a network's channels; imports no torch."""

from typing import Literal

from pipeline.core.errors import InputError
from pipeline.core.types import Kernel, Rate, Reduction, Section

PositionName = Literal["every_stage", "residual_block", "last_stage"]
GateInit = Literal["paper", "identity"]


class PositionOption(Section):
    """Options of every attention mechanism: the position of its modules."""

    position: PositionName


class Gated(PositionOption):
    """Initial value of the gates: `paper` about 1/2; `identity` 1, which leaves the network as it was."""

    gate_init: GateInit


class ReducedOptions(Gated):
    """Bottleneck with 1 / `reduction` of the channels."""

    reduction: Reduction


class SpatialOptions(Gated):
    """Kernel size of the convolution over positions."""

    kernel_size: Kernel


class CbamOptions(ReducedOptions):
    """Bottleneck of the channels and kernel size of the convolution over positions."""

    kernel_size: Kernel


class SelfOptions(PositionOption):
    """Queries and keys with 1 / `reduction` of the channels."""

    reduction: Reduction


class CscaOptions(CbamOptions):
    """Mode: one map for channels and positions together, or one each in sequence."""

    mode: Literal["joint", "sequential"]


class HierarchicalOptions(ReducedOptions):
    """Memory, the running mean of past maps as another input, and its momentum."""

    temporal_memory: bool
    memory_momentum: Rate


def reduced(name: str, channels: int, reduction: int) -> int:
    """Return C/r, rounded down.

    Args:
        name: the mechanism, for the message.
        channels: C.
        reduction: r.

    Raises:
        InputError: for a reduction under 1, or one that leaves no channel.

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
    """Return the padding on each side with which a convolution keeps the map's size.

    Raises:
        InputError: for a kernel size that is even or under 1.

    >>> padding("spatial", 7)
    3
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise InputError(f"attention {name!r}: kernel_size {kernel_size} is not a positive odd number; give one")
    return kernel_size // 2
