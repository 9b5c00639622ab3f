"""Tables of the choices in a recipe's `train` section; importing them imports no torch.

The loop needs torch, numpy and tqdm alone, so it cannot read these rows: an optimizer is the function of its name in
`optimizers.py`, a schedule that in `schedules.py`, with the row's options by keyword.
"""

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.core.choices import Choice
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


OPTIMIZERS: dict[str, Choice] = {
    "adam": Choice(
        title="Adam",
        description="weight decay is added to the gradient",
        options="pipeline.training.table:AdamOptions",
    ),
    "adamw": Choice(
        title="AdamW",
        description="Adam with weight decay that is separate from the gradient",
        options="pipeline.training.table:AdamOptions",
    ),
    "sgd": Choice(
        title="SGD",
        description="stochastic gradient descent with plain or Nesterov momentum",
        options="pipeline.training.table:SgdOptions",
    ),
}

SCHEDULES: dict[str, Choice] = {
    "constant": Choice(
        title="a constant rate",
        description="the learning rate stays the same",
    ),
    "step": Choice(
        title="steps",
        description="the learning rate is multiplied by `factor` after each fraction of the budget in `at`",
        options="pipeline.training.table:StepOptions",
    ),
    "cosine": Choice(
        title="a cosine",
        description="the learning rate falls along half a cosine to `final` times its first value",
        options="pipeline.training.table:CosineOptions",
    ),
    "exponential": Choice(
        title="an exponential",
        description="the learning rate falls in each iteration, by `factor` per fraction `every` of the budget",
        options="pipeline.training.table:ExponentialOptions",
    ),
}

# The first row of both tables is the default.
SAMPLERS: dict[str, Choice] = {
    "shuffle": Choice(
        title="every image once an epoch",
        description="every image once per epoch, in a new random order",
    ),
    "weighted": Choice(
        title="with replacement, each class as often as any other; training's curves are of these draws",
        description="draws with replacement, each class equally often; an epoch has as many draws as images",
    ),
}

CLASS_WEIGHTS: dict[str, Choice] = {
    "none": Choice(
        title="none",
        description="every image counts the same",
    ),
    "balanced": Choice(
        title="the rarer a class, the more its images count in the training loss, not in the validation's",
        description="rare classes count more: an image of class k has the weight n / (K n_k) in the training loss",
    ),
}
