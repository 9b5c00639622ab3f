"""Keep PyTorch's compiler, `torch._dynamo`, from being imported where nothing is compiled.

Its import takes as long as torch's own. torchvision imports it for one function of detectors, and torch on the meta
device for switching it off. While `deferred` is in force, both get a stand-in that answers them, and that loads the
real compiler when anything else of it is used. Afterward nothing of the stand-in is left: torch.compile, torch.export
and the export to ONNX import the real one as ever.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

COMPILER, UTILS = "torch._dynamo", "torch._dynamo.utils"
# Where torch keeps a function for which the compiler is switched off.
DISABLED = "__dynamo_disable"


class _StandIn(ModuleType):
    """A module whose unknown names import the real one."""

    def __getattr__(self, name: str) -> Any:
        # `inspect` and import itself ask every module for such names, which is no use of it; but a package's path is
        # asked for where a module of it is imported.
        if name.startswith("__") and (self.__name__, name) != (COMPILER, "__path__"):
            raise AttributeError(name)
        return getattr(_load(self.__name__), name)


def _load(name: str) -> ModuleType:
    """Import the real module in place of the stand-ins."""
    _remove()
    return importlib.import_module(name)


def _remove() -> None:
    for name in (COMPILER, UTILS):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


@contextmanager
def deferred() -> Iterator[None]:
    """Answer torch and torchvision in place of the compiler; do nothing where it is imported already."""
    if COMPILER in sys.modules:
        yield
        return
    passed: list[Callable[..., Any]] = []

    def disable(function: Callable[..., Any], *_args: object, **_options: object) -> Callable[..., Any]:
        # Nothing is being compiled, so there is nothing to switch off.
        passed.append(function)
        return function

    compiler, utils = _StandIn(COMPILER), _StandIn(UTILS)
    vars(compiler).update(disable=disable)
    vars(utils).update(is_compile_supported=lambda device: _load(UTILS).is_compile_supported(device))
    sys.modules |= {COMPILER: compiler, UTILS: utils}
    try:
        yield
    finally:
        _remove()
        for function in passed:
            vars(function).pop(DISABLED, None)


@contextmanager
def meta_device() -> Iterator[None]:
    """Build networks on torch's meta device: their structure, without values."""
    with deferred(), torch.device("meta"):
        yield
