"""Options of the mechanisms; imports no torch."""

from typing import Literal

from pipeline.core.types import Kernel, Rate, Reduction, Section

PositionName = Literal["every_stage", "residual_block", "last_stage"]
GateInit = Literal["paper", "identity"]


class PositionOption(Section):
    """Options of every attention mechanism: the position of its modules."""

    position: PositionName


class Gated(PositionOption):
    """Initial value of the gates: `paper` random around 1/2; `identity` 1, which leaves the network as it was."""

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
