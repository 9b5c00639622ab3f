"""In which precision terms are worked out."""

import torch
from torch import Tensor


def upcast_float32(x: Tensor) -> Tensor:
    """In float32 at least: sums over a map's squares leave half precision's range, and shares its digits.

    >>> upcast_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype, upcast_float32(torch.zeros(1, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
