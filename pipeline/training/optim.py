"""The optimizer over what trains, and its learning-rate schedule."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from pipeline.training import optimizers, schedules


class Settings(Protocol):
    """The settings of optimizer and schedule, with the options of those that are named."""

    @property
    def optimizer(self) -> str: ...
    @property
    def optimizer_options(self) -> Mapping[str, Any]: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def schedule(self) -> str: ...
    @property
    def schedule_options(self) -> Mapping[str, Any]: ...


# The group of a regularizer's own parameters, which do not decay.
REGULARIZER = "regularizer"


def make_optimizer(
    groups: Mapping[str, Sequence[nn.Parameter]], settings: Settings, *, lr: float, factors: Mapping[str, float]
) -> Optimizer:
    """Make the optimizer over what trains.

    Args:
        groups: the parameters that train, by what they are; empty groups are left out, and `REGULARIZER` has no
            weight decay.
        settings: name the optimizer and hold its options.
        lr: the first rate.
        factors: by which a group's rate differs from `lr`; 1 where a group is not named.
    """
    optimizer: Optimizer = getattr(optimizers, settings.optimizer)(
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


def rate(optimizer: Optimizer, factors: Mapping[str, float]) -> float:
    """Return the current rate before the groups' factors."""
    group = optimizer.param_groups[-1]
    return float(group["lr"] / factors.get(group["name"], 1.0))


def make_schedule(optimizer: Optimizer, settings: Settings, parts: Sequence[int], *, done: int = 0) -> LRScheduler:
    """Make the schedule, which is stepped once an iteration.

    Args:
        optimizer: whose rates it moves.
        settings: name the schedule and hold its options.
        parts: the iterations of each part of the budget that the schedule is for: `step` falls in each of them,
            `cosine` and `exponential` go through all.
        done: how many iterations of them are over.
    """
    factor: schedules.Factor = getattr(schedules, settings.schedule)(parts, **settings.schedule_options)
    return LambdaLR(optimizer, lambda step: factor(done + step))


def total_steps(*, unit: str, amount: int, images: int, batch_size: int) -> int:
    """Return how many iterations a budget is; an epoch's last, smaller batch counts as one.

    >>> total_steps(unit="epochs", amount=2, images=33, batch_size=32)
    4
    >>> total_steps(unit="iterations", amount=9000, images=33, batch_size=32)
    9000
    """
    return amount if unit == "iterations" else amount * math.ceil(images / batch_size)
