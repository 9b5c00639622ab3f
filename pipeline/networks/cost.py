"""What a network costs: operations and time of one forward pass."""

import time

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pipeline.networks.insertion import on_meta
from pipeline.networks.network import Network


@torch.no_grad()
def flops(network: Network, image_size: int) -> int:
    """Floating-point operations of one image's forward pass, a multiplication and an addition counted as two.

    Counted by torch over convolutions and matrix products on the meta device, where nothing is computed; what works
    on single values (batch norm, ReLU, gates) is not counted, as is usual.
    """
    image = torch.empty(1, 3, image_size, image_size, device="meta")
    with FlopCounterMode(display=False) as counter:
        on_meta(network).eval()(image)
    return int(counter.get_total_flops())


@torch.no_grad()
def images_per_second(network: Network, images: Tensor, *, seconds: float) -> float:
    """Images a second of the forward pass alone, in eval mode: the median of as many passes as fit, at least three.

    Args:
        network: its mode is put back.
        images: one batch (N, 3, S, S) on the network's device.
        seconds: how long to measure, after one pass that is not counted.
    """
    mode = network.training
    network.eval()
    times: list[float] = []
    _timed(network, images)
    while len(times) < 3 or sum(times) < seconds:
        times.append(_timed(network, images))
    network.train(mode)
    return len(images) / sorted(times)[len(times) // 2]


def _timed(network: Network, images: Tensor) -> float:
    started = time.perf_counter()
    # Reading a value waits for the device.
    network(images).sum().item()
    return time.perf_counter() - started
