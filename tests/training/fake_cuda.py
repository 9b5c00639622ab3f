"""A GPU without one: tensors on cuda:0 that have a shape and a place and no values, and a count of what is copied."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline.training import batches, optim
from pipeline.training.epoch import Epoch
from pipeline.training.images import Images

GPU = torch.device("cuda:0")
BYTES = 2**34


class FakeCuda(TorchDispatchMode):
    """Tensors on the GPU are fake ones, and those on the CPU real.

    An operation on tensors of both raises, as on a GPU, unless it copies. A value that is read from the GPU raises.

    Attributes:
        copies: names of the operations within a step that copied between CPU and GPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []
        self.in_step = False
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        taken = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        target = kwargs.get("device")
        on_gpu = target is not None and torch.device(target).type == GPU.type
        if not on_gpu and not any(isinstance(one, FakeTensor) for one in taken):
            return func(*args, **kwargs)
        with self._fake:
            result = func(*args, **kwargs)
        places = {one.device.type for one in [*taken, *tree_leaves(result)] if isinstance(one, Tensor)}
        # A number on the CPU goes along with the operation on the GPU.
        numbers = func._schema.name != "aten::copy_" and all(not one.dim() for one in taken if one.device.type == "cpu")
        if self.in_step and len(places) > 1 and not (numbers and not target):
            self.copies.append(str(func))
        return result


def _moved(module: nn.Module, function: Callable[[Tensor], Tensor], _recurse: bool = True) -> nn.Module:
    """Take the place of `nn.Module._apply`, which cannot put a fake parameter in the place of a real one."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(function(parameter.detach()), parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = function(buffer)
    return module


def put_on_gpu(network: nn.Module) -> None:
    """Put a network of the meta device on the GPU."""
    _moved(network, lambda value: torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=GPU))


def _mark_steps(mode: FakeCuda, patch: pytest.MonkeyPatch) -> None:
    """Count copies from behind an epoch's batches to the reading of its means, of which there are none."""
    of_epoch = batches.of_epoch

    def steps(*arguments: Any, **options: Any) -> list[batches.Batch]:
        epoch = of_epoch(*arguments, **options)
        mode.in_step = True
        return epoch

    def scores(_epoch: Epoch) -> dict[str, float]:
        mode.in_step = False
        return {"train_loss": 0.0, "train_accuracy": 0.0}

    patch.setattr(batches, "of_epoch", steps)
    patch.setattr(Epoch, "scores", scores)


def _fake_gradients(patch: pytest.MonkeyPatch) -> None:
    """Give each parameter that trains a gradient without values, in place of autograd's."""
    optimizers, make_optimizer = [], optim.make_optimizer

    def optimizer(*arguments: Any, **options: Any) -> Optimizer:
        optimizers.append(make_optimizer(*arguments, **options))
        return optimizers[-1]

    def backward(loss: Tensor) -> None:
        assert loss.requires_grad
        for group in optimizers[-1].param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.empty_like(parameter)

    patch.setattr(optim, "make_optimizer", optimizer)
    patch.setattr(Tensor, "backward", backward)


@contextmanager
def fake_cuda(patch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """Make `loop.fit` run on the fake GPU."""
    mode = FakeCuda()
    _mark_steps(mode, patch)
    _fake_gradients(patch)
    patch.setattr(torch.cuda, "_lazy_init", lambda: None)
    patch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    patch.setattr(Images, "free_memory", lambda _: BYTES)
    patch.setattr(nn.Module, "_apply", _moved)
    # `torch.tensor` makes a real tensor on the CPU then, and copies it by an operation that the mode sees.
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with mode:
            yield mode
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
