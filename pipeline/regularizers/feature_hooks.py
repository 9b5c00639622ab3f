"""The outputs of named modules of one forward pass, and the frozen network that they are compared with."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from difflib import get_close_matches
from types import TracebackType

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pipeline.core.errors import InputError


def named(model: nn.Module, name: str) -> nn.Module:
    """The module of this name.

    Raises:
        InputError: where there is none, listing the names that are near.
    """
    modules: dict[str, nn.Module] = {known: module for known, module in model.named_modules() if known}
    if name in modules:
        return modules[name]
    near = get_close_matches(name, modules, n=3, cutoff=0.0)
    advice = f"near: {', '.join(near)}" if near else "it has none"
    raise InputError(f"module {name!r} is not in {type(model).__name__}; {advice}")


class FeatureHooks:
    """Keep what the named modules give while the block runs; of several passes, the last one's.

    The block's target is a dict by name, filled by the forward pass; it stays when the block ends and the hooks go,
    also where the block ends in an exception.

    Args:
        model: its values stay as they are.
        names: of its modules.

    Raises:
        InputError: for a name that is not there.

    >>> import torch
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True))
    >>> with FeatureHooks(model, ["0"]) as hooked_layers:
    ...     _ = model(torch.zeros(2, 3, 5, 5))
    >>> hooked_layers["0"].shape
    torch.Size([2, 4, 5, 5])
    """

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        self._modules = {name: named(model, name) for name in names}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> dict[str, Tensor]:
        hooked_layers: dict[str, Tensor] = {}
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(_keep(hooked_layers, name)))
        return hooked_layers

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _keep(hooked_layers: dict[str, Tensor], name: str) -> Callable[..., Tensor]:
    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        hooked_layers[name] = output
        # What comes next may work in place, as VGG's ReLU behind its convolutions does.
        return output.clone()

    return hook


def freeze_reference(model: nn.Module) -> nn.Module:
    """A copy that nothing trains: eval mode, no gradients, batch norms' statistics as they are now.

    Args:
        model: neither changed nor shared.
    """
    return deepcopy(model).eval().requires_grad_(False)
