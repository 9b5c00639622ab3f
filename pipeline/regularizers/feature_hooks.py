"""Forward hooks that store the outputs of named modules, and the frozen network to compare them with."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from difflib import get_close_matches
from types import TracebackType

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pipeline.core.errors import InputError


def submodule(model: nn.Module, name: str) -> nn.Module:
    """Return the module of this name.

    Raises:
        InputError: for an unknown name, listing the most similar ones.
    """
    if name:
        # Not by a dictionary of all modules, which takes as long as a small step does.
        with suppress(AttributeError):
            return model.get_submodule(name)
    modules = [known for known, _ in model.named_modules() if known]
    similar = get_close_matches(name, modules, n=3, cutoff=0.0)
    advice = f"similar: {', '.join(similar)}" if similar else "it has no modules"
    raise InputError(f"module {name!r} is not in {type(model).__name__}; {advice}")


class FeatureHooks:
    """Context manager that stores the outputs of named modules; of several forward passes, those of the last.

    `with` binds a dict of feature maps by module name, which each forward pass fills. The dict outlives the block; the
    hooks are removed when it ends, also by an exception. The modules are looked up once, for any number of blocks.

    Args:
        model: not changed.
        names: names of its modules.

    Raises:
        InputError: for a name that the model lacks.

    >>> import torch
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True))
    >>> with FeatureHooks(model, ["0"]) as maps:
    ...     _ = model(torch.zeros(2, 3, 5, 5))
    >>> maps["0"].shape
    torch.Size([2, 4, 5, 5])
    """

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        # Looked up here, so that a wrong name raises before any hook is registered.
        self._modules = {name: submodule(model, name) for name in names}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = {}
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(_store(maps, name)))
        return maps

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _store(maps: dict[str, Tensor], name: str) -> Callable[..., Tensor]:
    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        maps[name] = output
        # The next module may work in place, as the ReLU after VGG's convolutions does.
        return output.clone()

    return hook


def freeze_reference(model: nn.Module) -> nn.Module:
    """Return a frozen copy: in eval mode, so that batch-norm statistics stay as they are, and without gradients.

    Args:
        model: not changed; the copy shares no tensor with it.
    """
    return deepcopy(model).eval().requires_grad_(False)
