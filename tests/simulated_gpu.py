"""A GPU without one: tensors that say that they are on cuda:0, with values that the CPU computes.

As on a GPU, they refuse to meet tensors of the CPU, NumPy cannot read them, and what CUDA has no deterministic form of
raises in deterministic mode. What is copied between the two is counted. It cannot show: memory, speed, what CUDA's
kernels round otherwise or refuse for other reasons, TF32, and CUDA's own random numbers, such as dropout's.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU, CPU = torch.device("cuda:0"), torch.device("cpu")
NAME, BYTES = "Simulated GPU", 2**34

PLACES = {"device": GPU, "is_cuda": True, "is_cpu": False}
MOVES = (Tensor.to, Tensor.cpu, Tensor.copy_, Tensor.module_load)
# What takes the shape alone of a second tensor, and its index from the CPU, which is copied.
SHAPES = (Tensor.view_as, Tensor.expand_as, Tensor.reshape_as)
INDEXED = (Tensor.__getitem__, Tensor.__setitem__)
FROM_PYTHON = (torch.tensor, torch.as_tensor, torch.asarray)
READ = (Tensor.item, Tensor.tolist, Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__)
# By which a module gives its parameters new values.
EXCHANGES = ("__set__", "_has_compatible_shallow_copy_type", "swap_tensors")
BY_NUMPY = (Tensor.numpy, Tensor.__array__)
# Those that `torch.use_deterministic_algorithms` lists as raising on CUDA, by their names below autograd.
NOT_DETERMINISTIC = {
    "_adaptive_avg_pool2d_backward",
    "_upsample_bicubic2d_aa_backward",
    "_upsample_bilinear2d_aa_backward",
    "adaptive_max_pool2d_backward",
    "avg_pool3d_backward",
    "fractional_max_pool2d_backward",
    "grid_sampler_2d_backward",
    "histc",
    "max_unpool2d",
    "median.dim",
    "nll_loss2d_forward",
    "put_",
    "reflection_pad1d_backward",
    "reflection_pad2d_backward",
    "scatter_reduce.two",
    "upsample_bicubic2d_backward",
    "upsample_bilinear2d_backward",
    "upsample_linear1d_backward",
}


class OnGpu(Tensor):
    """A tensor of the CPU that says that it is on the GPU."""

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        # Where torch has set the mode below aside.
        return _Call(func, args, kwargs or {}).result(lambda _: None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            values = _on_gpu(_run(Tensor.clone, self.detach()))
            is_parameter = isinstance(self, nn.Parameter)
            memo[id(self)] = nn.Parameter(values, self.requires_grad) if is_parameter else values
        copied: Tensor = memo[id(self)]
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            return self.detach().as_subclass(Tensor).__reduce_ex__(protocol)


class SimulatedGpu(TorchFunctionMode):
    """What is asked for on CUDA is made on the simulated GPU.

    Attributes:
        copies: names of the functions within a step that copied between CPU and GPU, or read a value.
        in_step: whether copies are counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []
        self.in_step = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _Call(func, args, kwargs or {}).result(self._count)

    def _count(self, name: str) -> None:
        if self.in_step:
            self.copies.append(name)


class _Deterministic(TorchDispatchMode):
    """Refuse, in deterministic mode, what has no deterministic form on CUDA: also what autograd calls."""

    supports_higher_order_operators: ClassVar[bool] = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removeprefix("aten.").removesuffix(".default")
        if name in NOT_DETERMINISTIC and torch.are_deterministic_algorithms_enabled():
            raise RuntimeError(f"{name} does not have a deterministic implementation")
        return func(*args, **(kwargs or {}))


class _Call:
    """One call of a function of torch's."""

    def __init__(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.func, self.args, self.kwargs = func, list(args), dict(kwargs)
        self.tensors = list(_tensors([args, list(kwargs.values())]))
        self.of_gpu = any(isinstance(one, OnGpu) for one in self.tensors)

    def result(self, count: Callable[[str], None]) -> Any:
        name, place = self.func.__name__, getattr(getattr(self.func, "__self__", None), "__name__", "")
        if self.of_gpu and name == "__get__" and place in PLACES:
            return PLACES[place]
        to_gpu = self._goes_to_the_gpu()
        if self.of_gpu:
            self._refuse_strangers(name)
        if self._copies(to_gpu):
            count(name)
        result = _run(self.func, *self.args, **self.kwargs)
        if self.func in (Tensor.to, Tensor.cpu) and to_gpu != self.of_gpu and not result.is_meta:
            # A copy, as between two memories.
            result = _run(Tensor.clone, result) if result.data_ptr() == self.tensors[0].data_ptr() else result
            result.__class__ = Tensor
        return self._placed(result) if to_gpu else result

    def _goes_to_the_gpu(self) -> bool:
        """Return whether the result is on the GPU; a device that is asked for is the CPU from here on."""
        if self.func is Tensor.cpu:
            return False
        asked = [self.kwargs.get("device")]
        if self.func is Tensor.to:
            asked += self.args[1:]
            self.args[1:] = [CPU if _is_gpu(one) else one for one in self.args[1:]]
        if _is_gpu(self.kwargs.get("device")):
            self.kwargs["device"] = CPU
        devices = [one for one in asked if isinstance(one, str | torch.device | int) and not isinstance(one, bool)]
        if devices:
            return _is_gpu(devices[0])
        return isinstance(self.args[0], OnGpu) if self.func in MOVES else self.of_gpu

    def _copies(self, to_gpu: bool) -> bool:
        if self.func in MOVES:
            source = self.tensors[-1 if self.func in (Tensor.copy_, Tensor.module_load) else 0]
            return isinstance(source, OnGpu) != to_gpu
        index = self.func in INDEXED and self.of_gpu and any(_is_stranger(one) for one in self.tensors)
        return index or (self.of_gpu and self.func in READ) or (to_gpu and self.func in FROM_PYTHON)

    def _refuse_strangers(self, name: str) -> None:
        if self.func in BY_NUMPY:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")
        indexed = self.func in INDEXED and isinstance(self.args[0], OnGpu)
        if self.func in (*MOVES, *SHAPES) or indexed or name in EXCHANGES:
            return
        if any(_is_stranger(one) for one in self.tensors):
            raise RuntimeError(f"{name}: all tensors should be on the same device, but are on cuda:0 and cpu")

    def _placed(self, result: Any) -> Any:
        """Put what is new in a result on the GPU."""
        for one in _tensors([result]):
            if not any(one is taken for taken in self.tensors):
                _on_gpu(one)
        return result


def _tensors(values: Any) -> Iterator[Tensor]:
    for one in values:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from _tensors(one)


def _is_gpu(device: object) -> bool:
    return isinstance(device, str | torch.device) and torch.device(device).type == GPU.type


def _is_stranger(one: Tensor) -> bool:
    """Return whether a tensor on the CPU cannot go along with those on the GPU: a number can."""
    return not isinstance(one, OnGpu) and one.device == CPU and one.dim() > 0


def _on_gpu(one: Tensor) -> Tensor:
    # Of the same object, so that autograd's graph, and by it the order of sums, stays the CPU's.
    if type(one) is Tensor and one.device == CPU:
        one.__class__ = OnGpu
    return one


def _run(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with torch._C.DisableTorchFunctionSubclass():
        return func(*args, **kwargs)


class _Autocast(torch.autocast):
    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(CPU.type if device_type == GPU.type else device_type, *args, **kwargs)


def _patched(patch: pytest.MonkeyPatch, mode: SimulatedGpu) -> None:
    answers: dict[str, Any] = {
        "is_available": True,
        "is_bf16_supported": True,
        "device_count": 1,
        "current_device": 0,
        "get_device_name": NAME,
        "get_device_capability": (9, 0),
        "get_rng_state": torch.zeros(16, dtype=torch.uint8),
        "mem_get_info": (BYTES, BYTES),
        "memory_reserved": 0,
        "memory_allocated": 0,
        "max_memory_allocated": 0,
    }
    nothing = (
        "_lazy_init",
        "empty_cache",
        "manual_seed",
        "manual_seed_all",
        "reset_peak_memory_stats",
        "set_rng_state",
        "set_sync_debug_mode",
        "synchronize",
    )
    for name, answer in (answers | dict.fromkeys(nothing)).items():
        patch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    # Adam asks it whether its step is being recorded as a CUDA graph.
    stream = SimpleNamespace(is_capturing=lambda: False)
    patch.setattr(torch.accelerator, "current_stream", lambda *_: stream)
    patch.setattr(torch, "autocast", _Autocast)
    apply, run = nn.Module._apply, threading.Thread.run

    def moved(module: nn.Module, *arguments: Any, **options: Any) -> nn.Module:
        """Move in the one way that can change the class of a parameter."""
        before = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            return apply(module, *arguments, **options)
        finally:
            torch.__future__.set_swap_module_params_on_conversion(before)

    def within(thread: threading.Thread) -> None:
        """Run a thread with the GPU too: a mode is of one thread."""
        with mode:
            run(thread)

    patch.setattr(nn.Module, "_apply", moved)
    patch.setattr(threading.Thread, "run", within)


@contextmanager
def simulated_gpu() -> Iterator[SimulatedGpu]:
    """Give torch a GPU in this process."""
    mode = SimulatedGpu()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        _patched(patch, mode)
        stack.enter_context(_Deterministic())
        stack.enter_context(mode)
        yield mode
