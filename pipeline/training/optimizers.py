"""Torch's optimizers without their hooks: one function per row of `table.OPTIMIZERS`, under the row's name.

Arguments are the groups of parameters, the first learning rate, the weight decay, and the options by keyword.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import optim
from torch.optim import Optimizer

from pipeline.core import cpu_instructions

Groups = Sequence[dict[str, Any]]


class _Eager(Optimizer):
    """Base of torch's optimizers without their hooks for torch.compile.

    The hooks import torch's compiler in the first step, which takes as long as importing torch, and have no effect in
    a loop that is not compiled. `inspect.unwrap` returns the method beneath them.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)


# Unwrapping `step` also removes torch's own no_grad.
class _Adam(_Eager, optim.Adam):
    step = torch.no_grad()(inspect.unwrap(optim.Adam.step))


class _AdamW(_Eager, optim.AdamW):
    step = torch.no_grad()(inspect.unwrap(optim.AdamW.step))


class _SGD(_Eager, optim.SGD):
    step = torch.no_grad()(inspect.unwrap(optim.SGD.step))


def _fused(groups: Groups) -> bool:
    """Return whether Adam's step is torch's single kernel, whose square root is rounded as IEEE 754 says.

    The other one's is MKL's, which begins with an approximation that each maker's CPUs have in their own way.
    """
    is_portable = cpu_instructions.in_force() == cpu_instructions.PORTABLE
    return is_portable and all(one.device.type == "cpu" for group in groups for one in group["params"])


def adam(groups: Groups, *, lr: float, weight_decay: float, beta1: float, beta2: float) -> Optimizer:
    """Build Adam; weight decay is added to the gradient."""
    return _Adam(groups, lr=lr, weight_decay=weight_decay, betas=(beta1, beta2), fused=_fused(groups) or None)


def adamw(groups: Groups, *, lr: float, weight_decay: float, beta1: float, beta2: float) -> Optimizer:
    """Build AdamW; weight decay is decoupled from the gradient."""
    return _AdamW(groups, lr=lr, weight_decay=weight_decay, betas=(beta1, beta2), fused=_fused(groups) or None)


def sgd(groups: Groups, *, lr: float, weight_decay: float, momentum: float, nesterov: bool) -> Optimizer:
    """Build stochastic gradient descent."""
    return _SGD(groups, lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov)
