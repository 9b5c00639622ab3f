"""In which precision terms are worked out."""

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """In float32 at least: sums over a map's squares leave half precision's range, and shares its digits.

    >>> wide(torch.zeros(1, dtype=torch.bfloat16)).dtype, wide(torch.zeros(1, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
