"""The precision of convolutions and matrix products: its names, and what holds on a device.

`fp32` is IEEE float32. `tf32` lets NVIDIA's GPUs since Ampere round the factors of a product to 10 bits of mantissa, in
convolutions and in matrix products, while sums, weights and all else stay float32. `bf16` is torch's autocast to
bfloat16; what autocast leaves in float32 is IEEE float32. torch's own default on CUDA is none of these: there
convolutions use TF32 and matrix products do not.
"""

import contextlib
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "tf32", "bf16"]
# Ampere's compute capability, the first with TF32.
TF32_SINCE = (8, 0)


def in_force(asked: Precision, device: "torch.device") -> Precision:
    """Return the precision that holds on a device: `fp32` in place of `tf32` where the device has no TF32.

    Args:
        asked: the name in the settings.
        device: where networks are computed. AMD's GPUs, which torch calls "cuda" too, count as without TF32: their
            compute capability is another count, and not all of their libraries have it.
    """
    import torch

    if asked != "tf32":
        return asked
    nvidia = device.type == "cuda" and torch.version.hip is None
    return "tf32" if nvidia and torch.cuda.get_device_capability(device) >= TF32_SINCE else "fp32"


def set_float32(precision: Precision) -> None:
    """Set what float32 means on CUDA, for the whole process; the CPU's own settings are left as they are.

    Args:
        precision: as in force, see `in_force`.
    """
    import torch

    rounds = precision == "tf32"
    # mypy sees the module, and not the object that torch puts in its place.
    products, cudnn = torch.backends.cuda.matmul, cast(Any, torch.backends.cudnn)
    # The older interface first, in the same sense: torch.export reads it, and torch refuses to where the two disagree.
    products.allow_tf32 = cudnn.allow_tf32 = rounds
    for operation in (products, cudnn.conv, cudnn.rnn):
        operation.fp32_precision = "tf32" if rounds else "ieee"


def autocast(precision: Precision, device: str) -> contextlib.AbstractContextManager[Any]:
    """Return the context manager under which forward passes run in a precision.

    Args:
        precision: its name.
        device: the kind of device, such as "cuda".
    """
    import torch

    dtype = {"fp32": None, "tf32": None, "bf16": torch.bfloat16}[precision]
    return torch.autocast(device, dtype) if dtype else contextlib.nullcontext()
