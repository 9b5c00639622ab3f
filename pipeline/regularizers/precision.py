"""The precision in which loss terms are computed."""

import torch
from torch import Tensor


def upcast_float32(x: Tensor) -> Tensor:
    """Return x in float32, or as it is where its type is wider.

    >>> [upcast_float32(torch.zeros(1, dtype=dtype)).dtype for dtype in (torch.bfloat16, torch.float64)]
    [torch.float32, torch.float64]
    """
    # Sums of squares over a map overflow float16, and shares of many positions need more digits than bfloat16's.
    return x.to(torch.promote_types(x.dtype, torch.float32))
