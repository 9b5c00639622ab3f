"""The spread of a method's weights, which shows whether they have collapsed to one channel or position."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Spread(NamedTuple):
    """Spread of one layer's weights, batch mean; scalars on the weights' device, so that nothing waits for it.

    Attributes:
        entropy: of the layer's own shares, divided by log n: 1 where all n are equal, 0 where one is 1.
        maximum: largest of the layer's own shares, 1/n to 1.
        mass: the layer's share of the sum over all layers, 0 to 1; NaN where all weights of an image are 0. GCA
            learns it; other methods fix it by their scale.
    """

    entropy: Tensor
    maximum: Tensor
    mass: Tensor


@torch.no_grad()
def spread(weights: Mapping[str, Tensor]) -> dict[str, Spread]:
    """Compute the spread of each layer's weights, which does not depend on their scale.

    entropy = -sum_k p_k log p_k / log n with p = w / sum w, for each image; 1 where n is 1.

    Args:
        weights: by layer, (N, C) or (N, H, W), not negative, as `Regularizer.weights` returns them.

    >>> spreads = spread({"even": torch.ones(1, 2, 2), "one": torch.tensor([[0.0, 12.0]])})
    >>> {layer: tuple(value.item() for value in values) for layer, values in spreads.items()}
    {'even': (1.0, 0.25, 0.25), 'one': (0.0, 1.0, 0.75)}
    """
    flat = {layer: values.flatten(1) for layer, values in weights.items()}
    totals = {layer: values.sum(dim=1) for layer, values in flat.items()}
    all_layers = sum(totals.values())
    # All of a layer's weights may be too small for a float beside another's.
    smallest = torch.finfo(torch.float32).tiny
    return {
        layer: _spread(values / totals[layer].clamp_min(smallest)[:, None], totals[layer] / all_layers)
        for layer, values in flat.items()
    }


def _spread(shares: Tensor, mass: Tensor) -> Spread:
    n = shares.shape[1]
    # entr(p) = -p log p with entr(0) = 0: a share may be rounded to 0.
    entropy = (torch.special.entr(shares).sum(dim=1) / math.log(n)).mean() if n > 1 else shares.new_ones(())
    return Spread(entropy, shares.amax(dim=1).mean(), mass.mean())
