"""Optimizers and learning-rate schedules: torch's own, one row each."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, LambdaLR, LRScheduler, MultiStepLR


class Settings(Protocol):
    """What of a recipe's `train` section this module reads."""

    @property
    def optimizer(self) -> str: ...
    @property
    def optimizer_options(self) -> Any: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def schedule(self) -> str: ...
    @property
    def schedule_options(self) -> Any: ...


def _betas(options: Any) -> dict[str, Any]:
    return {"betas": (options.beta1, options.beta2)}


def _sgd(options: Any) -> dict[str, Any]:
    return {"momentum": options.momentum, "nesterov": options.nesterov}


OPTIMIZERS: dict[str, tuple[type[Optimizer], Callable[[Any], dict[str, Any]]]] = {
    "adam": (Adam, _betas),
    "adamw": (AdamW, _betas),
    "sgd": (SGD, _sgd),
}


def _constant(optimizer: Optimizer, _options: Any, _steps: int) -> LRScheduler:
    return ConstantLR(optimizer, factor=1.0, total_iters=0)


def _step(optimizer: Optimizer, options: Any, steps: int) -> LRScheduler:
    at = [max(1, round(part * steps)) for part in options.at]
    return MultiStepLR(optimizer, milestones=at, gamma=options.factor)


def _cosine(optimizer: Optimizer, options: Any, steps: int) -> LRScheduler:
    """Torch's CosineAnnealingLR has one last rate for all groups; here each falls to the same part of its own first."""

    def factor(step: int) -> float:
        return float(options.final + (1 - options.final) * (1 + math.cos(math.pi * step / steps)) / 2)

    return LambdaLR(optimizer, factor)


SCHEDULES: dict[str, Callable[[Optimizer, Any, int], LRScheduler]] = {
    "constant": _constant,
    "step": _step,
    "cosine": _cosine,
}


def make_optimizer(
    groups: Mapping[str, Sequence[nn.Parameter]], settings: Settings, *, lr: float, factors: Mapping[str, float]
) -> Optimizer:
    """The optimizer over what trains; its options are those of its own sub-section.

    Args:
        groups: the parameters that train, by what they are; empty groups are left out.
        settings: names the optimizer and holds its options.
        lr: the first rate.
        factors: by which a group's rate differs from `lr`; 1 where a group is not named.
    """
    kind, options = OPTIMIZERS[settings.optimizer]
    chosen = getattr(settings.optimizer_options, settings.optimizer)
    return kind(  # type: ignore[call-arg]  # every row of the table takes these
        [
            {"params": list(parameters), "lr": lr * factors.get(name, 1.0), "name": name}
            for name, parameters in groups.items()
            if parameters
        ],
        lr=lr,
        weight_decay=settings.weight_decay,
        **options(chosen),
    )


def rate(optimizer: Optimizer, factors: Mapping[str, float]) -> float:
    """The current rate before the groups' factors."""
    group = optimizer.param_groups[-1]
    return float(group["lr"] / factors.get(group["name"], 1.0))


def make_schedule(optimizer: Optimizer, settings: Settings, steps: int) -> LRScheduler:
    """The schedule, stepped once an iteration.

    Args:
        optimizer: whose rates it moves.
        settings: names the schedule and holds its options.
        steps: the iterations of the part of the budget that it is for.
    """
    options = getattr(settings.schedule_options, settings.schedule, None)
    return SCHEDULES[settings.schedule](optimizer, options, steps)


def total_steps(*, unit: str, amount: int, images: int, batch_size: int) -> int:
    """How many iterations a budget is; an epoch's last, smaller batch counts as one.

    >>> total_steps(unit="epochs", amount=2, images=33, batch_size=32)
    4
    >>> total_steps(unit="iterations", amount=9000, images=33, batch_size=32)
    9000
    """
    return amount if unit == "iterations" else amount * math.ceil(images / batch_size)
