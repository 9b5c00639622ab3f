"""Options of the methods: their types; imports no torch."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from pipeline.core.types import Budget, Count, Name, Reduction, Section, Strength

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
    # A row of `SCHEDULES`, or auto. Checked with the whole settings: this package does not import `training`.
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
