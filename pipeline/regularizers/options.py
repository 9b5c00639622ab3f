"""Options of the methods: their types, and checks against a network's maps; imports no torch."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from pipeline.core.errors import InputError
from pipeline.core.types import Budget, Count, Name, Reduction, Section, Strength

if TYPE_CHECKING:
    from pipeline.regularizers.contract import Shapes

Auto = Literal["auto"]


def _by_set(strengths: object) -> object:
    """Turn a single number into the value for all data sets."""
    return strengths if isinstance(strengths, dict) else {"default": strengths}


def _has_default(strengths: dict[str, float]) -> dict[str, float]:
    if "default" not in strengths:
        raise ValueError("the value for data sets without one of their own is missing; add default: ...")
    return strengths


# Values by data set; `default` holds for those without one of their own.
Strengths = Annotated[dict[str, Strength], BeforeValidator(_by_set), AfterValidator(_has_default)]


class MethodOptions(Section):
    """Weight decay of the optimizer, in place of `train.weight_decay` unless auto."""

    weight_decay: Strength | Auto


class L2FeOptions(MethodOptions):
    """Budget and schedule of training the head alone, in place of those in `train` unless auto."""

    budget: Budget | Auto
    # A row of `SCHEDULES`, or auto. Checked with the whole settings: this room does not import that of training.
    schedule: Name


class PenaltyOptions(MethodOptions):
    """Weights of the loss terms: `alpha` of staying near the pre-trained network, `beta` of the head penalty."""

    alpha: Strengths
    beta: Strength


class L2SpOptions(PenaltyOptions):
    """Selection of the pre-trained weights to keep near their start."""

    covers: Literal["kernels", "all"]


class PositionOptions(PenaltyOptions):
    """Scale of weights over positions, or over the channels of all layers."""

    normalize: Literal["mean_one", "raw"]


class ChannelOptions(PenaltyOptions):
    """Scale of weights over one layer's channels."""

    normalize: Literal["mean_one", "raw", "delta"]


class DeltaOptions(ChannelOptions):
    """Number of training batches to measure filter importance on, and of filters to zero in one forward pass."""

    batches: Annotated[Count, Field(le=100_000)]
    filters_at_once: Annotated[Count, Field(le=65_536)]


class SpaOptions(PositionOptions):
    """Gradient through the target's maps from which the weights are computed: detached or not."""

    detach_attention_input: bool


class GcaOptions(PositionOptions):
    """Number of hidden units: 1 / `reduction` of the channels."""

    reduction: Reduction


class AfaOptions(MethodOptions):
    """Order of the two methods; their own options are those of `ast` and `act`."""

    order: Literal["ast_act"]


class SpaGcaOptions(MethodOptions):
    """Order of the two methods; their own options are those of `spa` and `gca`."""

    order: Literal["spa_gca", "gca_spa"]


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
