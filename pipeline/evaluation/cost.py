"""The cost of a network: operations and time of one forward pass."""

import time
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pipeline.core import compiler
from pipeline.core.precision import Precision, autocast
from pipeline.networks import low_rank
from pipeline.networks.insertion import on_meta
from pipeline.networks.network import Network
from pipeline.networks.shapes_alone import ShapesAlone


@compiler.deferred()
@torch.no_grad()
def flops(network: Network, image_size: int) -> int:
    """Return the floating-point operations of one image's forward pass; a multiply-add counts as two.

    Torch counts convolutions and matrix products, on the meta device, where nothing is computed. Elementwise
    operations (batch norm, ReLU, gates) are not counted, as is usual, nor low-rank updates, which will be merged.
    """
    image = torch.empty(1, 3, image_size, image_size, device="meta")
    meta = on_meta(network).eval()
    low_rank.undo(meta)
    with FlopCounterMode(display=False) as counter, ShapesAlone():
        meta(image)
    return int(counter.get_total_flops())


@torch.no_grad()
def images_per_second(
    networks: Mapping[str, Network], images: Tensor, *, seconds: float, precision: Precision = "fp32"
) -> dict[str, float]:
    """Measure images per second of the forward pass in eval mode: the median of at least three passes.

    The networks take turns, so that other load on the machine falls on all of them.

    Args:
        networks: by name; train or eval mode is restored.
        images: one batch (N, 3, S, S) on the networks' device.
        seconds: duration of all measurements, after one pass of each network that is not counted.
        precision: as in force there, see `pipeline.core.precision`; what float32 means is not set here.
    """
    modes = {name: network.training for name, network in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in networks}
    with autocast(precision, images.device.type):
        for network in networks.values():
            # A first pass allocates memory and chooses kernels.
            _timed(network.eval(), images)
        while any(len(passes) < 3 for passes in times.values()) or sum(map(sum, times.values())) < seconds:
            for name, network in networks.items():
                times[name].append(_timed(network, images))
    for name, network in networks.items():
        network.train(modes[name])
    return {name: len(images) / sorted(passes)[len(passes) // 2] for name, passes in times.items()}


def _timed(network: Network, images: Tensor) -> float:
    started = time.perf_counter()
    # Reading a value waits for the device.
    network(images).sum().item()
    return time.perf_counter() - started
