"""Options of the methods: their types, and checks that need a network's maps. Imports no torch."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from pipeline.core.errors import InputError
from pipeline.core.types import Budget, Count, Name, NotNegative, Section

if TYPE_CHECKING:
    from pipeline.regularizers.contract import Shapes

Auto = Literal["auto"]


def _by_set(strengths: object) -> object:
    """A single number is for all data sets."""
    return strengths if isinstance(strengths, dict) else {"default": strengths}


def _has_default(strengths: dict[str, float]) -> dict[str, float]:
    if "default" not in strengths:
        raise ValueError("the strength for data sets that are not named is missing; add default: ...")
    return strengths


# By data set; `default` for those that are not named.
Strengths = Annotated[dict[str, NotNegative], BeforeValidator(_by_set), AfterValidator(_has_default)]


class MethodOptions(Section):
    """The optimizer's weight decay in place of `train.weight_decay`, unless it is auto."""

    weight_decay: NotNegative | Auto


class L2FeOptions(MethodOptions):
    """Budget and schedule of a training of the head alone, in place of those in `train`, unless they are auto."""

    budget: Budget | Auto
    # Of the training's table, or auto; the settings as a whole check it, as they do the data sets of a strength.
    schedule: Name


class PenaltyOptions(MethodOptions):
    """Strengths: `alpha` of staying near the pre-trained network, `beta` of the head's decay."""

    alpha: Strengths
    beta: NotNegative


class L2SpOptions(PenaltyOptions):
    """Which pre-trained values are held."""

    covers: Literal["kernels", "all"]


class PositionOptions(PenaltyOptions):
    """The scale of weights over positions or over the channels of all layers."""

    normalize: Literal["mean_one", "raw"]


class ChannelOptions(PenaltyOptions):
    """The scale of weights over one layer's channels."""

    normalize: Literal["mean_one", "raw", "delta"]


class DeltaOptions(ChannelOptions):
    """On how many training batches the channels are weighed, and how many filters are tried at a time."""

    batches: Count
    filters_at_once: Count


class SpaOptions(PositionOptions):
    """Whether the target's maps are read without gradient for the weights."""

    detach_attention_input: bool


class GcaOptions(PositionOptions):
    """The hidden units are 1 / `reduction` of the channels."""

    reduction: Count


class AfaOptions(MethodOptions):
    """The order of its methods, whose options are those of `ast` and `act`."""

    order: Literal["ast_act"]


class SpaGcaOptions(MethodOptions):
    """The order of its methods, whose options are those of `spa` and `gca`."""

    order: Literal["spa_gca", "gca_spa"]


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


def maps(name: str, shapes: "Shapes") -> dict[str, tuple[int, int, int]]:
    """The sizes (C, H, W) by tap.

    Raises:
        InputError: for no tap at all, and for one that gives tokens or a vector in place of a map.

    >>> maps("ast", {"conv": (3, 4, 4)})
    {'conv': (3, 4, 4)}
    """
    if not shapes:
        raise InputError(f"regularizer {name!r}: no tap is named; name at least one module")
    checked = {}
    for layer, shape in shapes.items():
        if len(shape) != 3:
            raise InputError(
                f"regularizer {name!r} needs feature maps (C, H, W), and {layer} gives {tuple(shape)}; use l2 or l2_sp"
            )
        checked[layer] = (shape[0], shape[1], shape[2])
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
