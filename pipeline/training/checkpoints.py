"""Files of weights: safetensors, which cannot hold code, and PyTorch's format restricted to plain tensors."""

import os
import pickle
import re
import stat
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.core.errors import InputError
from pipeline.training import plain_tensors

WAY_OUT = "a network's state_dict of floating-point tensors is needed: save it again, or name another file"

# How safetensors names an error of the operating system.
_OF_THE_SYSTEM = re.compile(r"\(os error (\d+)\)")
WRAPPERS = ("state_dict", "model")

# Torch's message for a pickle that names anything but tensors and plain containers.
REFUSED = "Unsupported global"

# Exceptions of torch's readers on files that are damaged or of another kind.
_DAMAGE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    OSError,
    AssertionError,
    AttributeError,
    TypeError,
    struct.error,
)


def save(values: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors; equal values give equal bytes.

    Raises:
        OSError: as of a full disk, naming the file.
    """
    # safetensors makes files that their owner alone may read, which no other user could load a bundle of.
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        # The file's bytes follow the order of the names.
        save_file({name: value.detach().cpu().contiguous() for name, value in sorted(values.items())}, path)
        path.chmod(mode)
    except SafetensorError as error:
        if number := _OF_THE_SYSTEM.search(str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None
        raise


def read(path: Path) -> dict[str, Tensor]:
    """Read the weights of a .safetensors, .pth or .pt file; floating point is cast to float32.

    A mapping that wraps its weights in `state_dict` or `model`, or prefixes them with `module.` as data-parallel
    training does, is unwrapped.

    Raises:
        InputError: for a file that is missing, cut short, of another kind, without a tensor, not of plain tensors (a
            pickle that would run code is never run), or with values that are not finite.
    """
    if not path.is_file():
        raise InputError(f"weights_file: {str(path)!r} is not a file; name the file of the weights")
    stored = _safetensors(path) if path.suffix == ".safetensors" else _pytorch(path)
    values = {name.removeprefix("module."): value for name, value in stored.items()}
    if not values:
        raise InputError(f"{path}: holds no tensor; {WAY_OUT}")
    if twice := [name for name in values if {name, f"module.{name}"} <= stored.keys()]:
        raise InputError(f"{path}: holds {twice[0]} both with and without module. in front; {WAY_OUT}")
    if fault := plain_tensors.fault(values):
        raise InputError(f"{path}: {fault}; {WAY_OUT}")
    values = {name: _cast(value) for name, value in values.items()}
    broken = [name for name, value in values.items() if not bool(value.isfinite().all())]
    if broken:
        raise InputError(
            f"{path}: {len(broken)} tensors hold values that are not finite, the first is {broken[0]}; {WAY_OUT}"
        )
    return values


def _cast(value: Tensor) -> Tensor:
    # Counters, such as a batch norm's number of batches, stay whole numbers. A sign that is only noted would be lost.
    return value.resolve_neg().to(torch.float32) if value.is_floating_point() else value


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        values: dict[str, Tensor] = load_file(path)
    except (SafetensorError, LookupError, ValueError, OSError) as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); copy or download it again") from None
    return values


def _pytorch(path: Path) -> dict[str, Tensor]:
    try:
        # `weights_only` refuses every pickle that would call something.
        with warnings.catch_warnings(action="ignore"):
            values = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        if REFUSED in str(error):
            raise InputError(
                f"{path}: holds more than plain tensors, which could run code; save its state_dict as .safetensors"
            ) from None
        raise InputError(
            f"{path}: not a whole PyTorch file of plain tensors ({type(error).__name__}); copy or download it again"
        ) from None
    wrapper = next((key for key in WRAPPERS if isinstance(values, dict) and isinstance(values.get(key), dict)), None)
    return _checked(values[wrapper] if wrapper else values, path)


def _checked(values: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(values, Mapping) or not all(isinstance(value, Tensor) for value in values.values()):
        raise InputError(f"{path}: a mapping of names to tensors is needed; save the network's state_dict")
    return {str(name): value for name, value in values.items()}
