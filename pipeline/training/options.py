"""Options of optimizers and schedules; imports no torch."""

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.core.types import Factor, Fraction, Rate, Real, Section


class AdamOptions(Section):
    """Decay rates of Adam's two running means."""

    beta1: Rate
    beta2: Rate


class SgdOptions(Section):
    """Momentum of SGD, plain or Nesterov's."""

    momentum: Rate
    nesterov: bool

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> "SgdOptions":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class StepOptions(Section):
    """Fractions of the budget after which the rate is multiplied by `factor`."""

    at: Annotated[tuple[Fraction, ...], Field(max_length=100)]
    factor: Factor


class CosineOptions(Section):
    """Fraction `final` of the first rate at the end of half a cosine."""

    final: Rate


class ExponentialOptions(Section):
    """Decay by `factor` in the fraction `every` of the budget, a little with each iteration."""

    factor: Annotated[Real, Field(gt=0, le=1)]
    every: Annotated[Real, Field(gt=0, le=1)]
