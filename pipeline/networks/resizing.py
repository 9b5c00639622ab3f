"""Averages over regions, and bilinear resizing, of maps as products with two small matrices.

On GPUs the gradients of torch's own sum in a random order or take dozens of small operations, and Apple's have no
averages over regions of unequal sizes. A CPU has torch's own, where neither holds.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Devices with torch's own; the second has no values, and no autocast.
PLAIN = ("cpu", "meta")


def average(x: Tensor, side: int) -> Tensor:
    """Return F.adaptive_avg_pool2d(x, side): (..., H, W) -> (..., side, side)."""
    if x.device.type in PLAIN:
        return F.adaptive_avg_pool2d(x, side)
    with torch.autocast(x.device.type, enabled=False):
        return average_by_products(x.float(), side).to(x.dtype)


def bilinear(x: Tensor, height: int, width: int) -> Tensor:
    """Return F.interpolate(x, (height, width), mode="bilinear", align_corners=False): (N, C, H, W) -> (N, C, h, w)."""
    # Without gradients torch's own is deterministic, and gives an image the same bits at any place in a batch.
    if x.device.type in PLAIN or not torch.is_grad_enabled():
        return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
    # In float32 as there, whatever the type of the maps.
    with torch.autocast(x.device.type, enabled=False):
        return bilinear_by_products(x.float(), height, width).to(x.dtype)


def average_by_products(x: Tensor, side: int) -> Tensor:
    """Return the same as `average`, on any device; x itself where it has that size."""
    if x.shape[-2:] == (side, side):
        return x
    # Shapes (H, side), (..., H, W) and (W, side).
    height, width = (_regions(length, side, x) for length in x.shape[-2:])
    return height.mT @ x @ width


def bilinear_by_products(x: Tensor, height: int, width: int) -> Tensor:
    """Return the same as `bilinear`, on any device; x itself where it has that size."""
    if x.shape[-2:] == (height, width):
        return x
    rows, columns = (_taps(*sizes, x) for sizes in zip(x.shape[-2:], (height, width), strict=True))
    return rows.mT @ x @ columns


def _regions(length: int, side: int, like: Tensor) -> Tensor:
    """Return the weights of `length` positions in `side` regions that cover them, (length, side)."""
    place, region = torch.arange(length, device=like.device)[:, None], torch.arange(side, device=like.device)
    start, end = region * length // side, ((region + 1) * length + side - 1) // side
    inside = (place >= start) & (place < end)
    return inside.to(like.dtype) / (end - start)


def _taps(length: int, size: int, like: Tensor) -> Tensor:
    """Return the weights of `length` positions in each of `size` that lie evenly among them, (length, size)."""
    place = torch.arange(length, device=like.device, dtype=like.dtype)[:, None]
    target = torch.arange(size, device=like.device, dtype=like.dtype)
    source = ((target + 0.5) * (length / size) - 0.5).clamp(0, length - 1)
    return (1 - (source - place).abs()).clamp(min=0)
