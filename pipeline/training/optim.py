"""Optimizers, torch's own, and learning-rate schedules: one row each."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch import nn, optim
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


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


class _Eager(Optimizer):
    """torch's optimizers without their hooks for torch.compile.

    The hooks import torch's compiler in the first step, which takes as long as importing torch, and do nothing in a
    loop that is not compiled. What a method does is what `inspect.unwrap` finds beneath them.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)


class Adam(_Eager, optim.Adam):
    """Adam."""

    step = torch.no_grad()(inspect.unwrap(optim.Adam.step))


class AdamW(_Eager, optim.AdamW):
    """AdamW."""

    step = torch.no_grad()(inspect.unwrap(optim.AdamW.step))


class SGD(_Eager, optim.SGD):
    """SGD."""

    step = torch.no_grad()(inspect.unwrap(optim.SGD.step))


def _betas(options: Any) -> dict[str, Any]:
    return {"betas": (options.beta1, options.beta2)}


def _sgd(options: Any) -> dict[str, Any]:
    return {"momentum": options.momentum, "nesterov": options.nesterov}


OPTIMIZERS: dict[str, tuple[type[Optimizer], Callable[[Any], dict[str, Any]]]] = {
    "adam": (Adam, _betas),
    "adamw": (AdamW, _betas),
    "sgd": (SGD, _sgd),
}


# What a rate is multiplied by at a step, counted from 0 through all parts of the budget that have one schedule.
Factor = Callable[[int], float]


def _constant(_options: Any, _parts: Sequence[int]) -> Factor:
    return lambda _step: 1.0


def _step(options: Any, parts: Sequence[int]) -> Factor:
    """Each part has its own falls; what they leave of the rate is what the next part begins with."""
    begins = [end - part for end, part in zip(accumulate(parts), parts, strict=True)]
    falls = [begin + max(1, round(at * part)) for begin, part in zip(begins, parts, strict=True) for at in options.at]
    return lambda step: float(options.factor ** sum(step >= fall for fall in falls))


def _cosine(options: Any, parts: Sequence[int]) -> Factor:
    """Torch's CosineAnnealingLR has one last rate for all groups; here each falls to the same part of its own first."""
    steps = sum(parts)
    return lambda step: float(options.final + (1 - options.final) * (1 + math.cos(math.pi * step / steps)) / 2)


def _exponential(options: Any, parts: Sequence[int]) -> Factor:
    steps = sum(parts)
    return lambda step: float(options.factor ** (step / (options.every * steps)))


SCHEDULES: dict[str, Callable[[Any, Sequence[int]], Factor]] = {
    "constant": _constant,
    "step": _step,
    "cosine": _cosine,
    "exponential": _exponential,
}
# The group of a regularizer's own parameters, which do not decay.
REGULARIZER = "regularizer"


def make_optimizer(
    groups: Mapping[str, Sequence[nn.Parameter]], settings: Settings, *, lr: float, factors: Mapping[str, float]
) -> Optimizer:
    """The optimizer over what trains; its options are those of its own sub-section.

    Args:
        groups: the parameters that train, by what they are; empty groups are left out, and `REGULARIZER` has no
            weight decay.
        settings: names the optimizer and holds its options.
        lr: the first rate.
        factors: by which a group's rate differs from `lr`; 1 where a group is not named.
    """
    kind, options = OPTIMIZERS[settings.optimizer]
    chosen = getattr(settings.optimizer_options, settings.optimizer)
    return kind(  # type: ignore[call-arg]  # every row of the table takes these
        [
            {"params": list(parameters), "lr": lr * factors.get(name, 1.0), "name": name}
            | ({"weight_decay": 0.0} if name == REGULARIZER else {})
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


def make_schedule(optimizer: Optimizer, settings: Settings, parts: Sequence[int], *, done: int = 0) -> LRScheduler:
    """The schedule, stepped once an iteration.

    Args:
        optimizer: whose rates it moves.
        settings: names the schedule and holds its options.
        parts: the iterations of each part of the budget that the schedule is for: parts of `step`'s options are parts
            of each of these, `cosine` and `exponential` go through all.
        done: how many iterations of them are over.
    """
    options = getattr(settings.schedule_options, settings.schedule, None)
    factor = SCHEDULES[settings.schedule](options, parts)
    return LambdaLR(optimizer, lambda step: factor(done + step))


def total_steps(*, unit: str, amount: int, images: int, batch_size: int) -> int:
    """How many iterations a budget is; an epoch's last, smaller batch counts as one.

    >>> total_steps(unit="epochs", amount=2, images=33, batch_size=32)
    4
    >>> total_steps(unit="iterations", amount=9000, images=33, batch_size=32)
    9000
    """
    return amount if unit == "iterations" else amount * math.ceil(images / batch_size)
