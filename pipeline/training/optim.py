"""Optimizer of the parameters that train, and its learning-rate schedule."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from pipeline.core.errors import InputError
from pipeline.core.precision import Precision
from pipeline.training import optimizers, schedules


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """The settings of `loop.fit`; the fields are those of a recipe's `train`, with the options that count."""

    # A `Budget` of core.types, which needs pydantic; the loop does not.
    budget: Any
    batch_size: int
    optimizer: str
    optimizer_options: Mapping[str, Any]
    lr: float
    weight_decay: float
    schedule: str
    schedule_options: Mapping[str, Any]
    precision: Precision
    feature_cache_mb: int


# The group of a regularizer's own parameters; they have no weight decay.
REGULARIZER = "regularizer"


def make_optimizer(
    groups: Mapping[str, Sequence[nn.Parameter]], settings: LoopSettings, *, lr: float, factors: Mapping[str, float]
) -> Optimizer:
    """Build the optimizer.

    Args:
        groups: the parameters that train, by name of the group; empty groups are left out, and `REGULARIZER` has no
            weight decay.
        settings: the optimizer's name, options and weight decay.
        lr: the first learning rate.
        factors: the factor of `lr` by group; 1 for groups that are not named.
    """
    optimizer: Optimizer = _function(optimizers, settings.optimizer)(
        [
            {"params": list(parameters), "lr": lr * factors.get(name, 1.0), "name": name}
            | ({"weight_decay": 0.0} if name == REGULARIZER else {})
            for name, parameters in groups.items()
            if parameters
        ],
        lr=lr,
        weight_decay=settings.weight_decay,
        **settings.optimizer_options,
    )
    return optimizer


def _function(module: ModuleType, name: str) -> Callable[..., Any]:
    """Return the function of a row, which has its name.

    Raises:
        InputError: where the module has none.
    """
    function: Callable[..., Any] | None = getattr(module, name, None)
    if function is None:
        raise InputError(f"{name!r} has a row in training/table.py and no function of this name in {module.__name__}")
    return function


def rate(optimizer: Optimizer, factors: Mapping[str, float]) -> float:
    """Return the current learning rate before the groups' factors."""
    group = optimizer.param_groups[-1]
    return float(group["lr"] / factors.get(group["name"], 1.0))


def make_schedule(optimizer: Optimizer, settings: LoopSettings, parts: Sequence[int], *, done: int = 0) -> LRScheduler:
    """Build the schedule, to be stepped once per iteration.

    Args:
        optimizer: the optimizer whose rates it sets.
        settings: the schedule's name and options.
        parts: the iterations of each phase under this schedule: `step` falls within each of them, `cosine` and
            `exponential` run through all.
        done: number of those iterations that earlier phases have used.
    """
    factor: schedules.Factor = _function(schedules, settings.schedule)(parts, **settings.schedule_options)
    return LambdaLR(optimizer, lambda step: factor(done + step))


def total_steps(*, unit: str, amount: int, images: int, batch_size: int) -> int:
    """Return the number of iterations in a budget; an epoch's last, smaller batch counts as one.

    >>> total_steps(unit="epochs", amount=2, images=33, batch_size=32)
    4
    >>> total_steps(unit="iterations", amount=9000, images=33, batch_size=32)
    9000
    """
    return amount if unit == "iterations" else amount * math.ceil(images / batch_size)
