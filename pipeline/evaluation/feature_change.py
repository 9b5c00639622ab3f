"""How far modules that were inserted move a network before it is trained."""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.networks.network import Network


class FeatureChange(NamedTuple):
    """Relative change of the features that the head reads: mean over n images, and range; 1 is as long as they are."""

    mean: float
    low: float
    high: float
    n: int


@torch.no_grad()
def feature_change(changed: Network, plain: Network, images: Tensor) -> FeatureChange:
    """Compare what the heads of two networks read, in eval mode: |f' - f| / |f| of each image, Euclidean.

    Args:
        changed: f', the network with inserted modules.
        plain: f, the network without them.
        images: (N, 3, S, S), normalized.
    """
    after, before = (_read_by_head(network, images) for network in (changed, plain))  # (N, D) each
    ratios = (after - before).norm(dim=1) / before.norm(dim=1).clamp_min(torch.finfo(before.dtype).tiny)
    return FeatureChange(ratios.mean().item(), ratios.min().item(), ratios.max().item(), len(images))


def _read_by_head(network: Network, images: Tensor) -> Tensor:
    first = next(number for number, step in enumerate(network.steps) if step.stage == "head")
    return network.eval().run(images, stop=first).flatten(1).float()
