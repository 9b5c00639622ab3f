"""Whether a method's weights are spread out or have run into one channel or position."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Spread(NamedTuple):
    """How one tap's weights are spread, the mean over the batch.

    Attributes:
        entropy: of the tap's own shares, by log n: 1 where all n are equal, 0 where one has everything.
        maximum: the largest of the tap's own shares, 1/n to 1.
        mass: the tap's part of the sum over all taps. GCA learns it; other methods' is fixed by their scale.
    """

    entropy: float
    maximum: float
    mass: float


@torch.no_grad()
def spread(weights: Mapping[str, Tensor]) -> dict[str, Spread]:
    """How the weights of each tap are spread, whatever their scale.

    entropy = -sum_k p_k log p_k / log n with p = w / sum w, for each image; 1 where n is 1.

    Args:
        weights: by tap, (N, C) or (N, H, W), not negative, as `Regularizer.weights` gives them.

    >>> spread({"even": torch.ones(1, 2, 2), "one": torch.tensor([[0.0, 12.0]])})
    {'even': Spread(entropy=1.0, maximum=0.25, mass=0.25), 'one': Spread(entropy=0.0, maximum=1.0, mass=0.75)}
    """
    flat = {layer: values.flatten(1) for layer, values in weights.items()}
    totals = {layer: values.sum(dim=1) for layer, values in flat.items()}
    everything = sum(totals.values())
    return {
        layer: _spread(values / totals[layer][:, None], totals[layer] / everything) for layer, values in flat.items()
    }


def _spread(shares: Tensor, mass: Tensor) -> Spread:
    n = shares.shape[1]
    entropy = (torch.special.entr(shares).sum(dim=1) / math.log(n)).mean().item() if n > 1 else 1.0
    return Spread(entropy, shares.amax(dim=1).mean().item(), mass.mean().item())
