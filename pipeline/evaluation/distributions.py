"""Distributions of the values of a network's first layers, before and after training."""

from collections.abc import Mapping
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

# Bins of each histogram.
BINS = 40


def first_values(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the first convolution's weights and the first batch norm's weights and biases, by name.

    A network without batch norms (VGG-16, ViT) has the convolution alone.

    Source:
        ECSM Figure 9.
    """
    named = list(model.named_modules())
    convolution = islice((name for name, module in named if isinstance(module, nn.Conv2d)), 1)
    norm = islice((name for name, module in named if isinstance(module, nn.BatchNorm2d)), 1)
    names = [f"{name}.weight" for name in convolution]
    names += [f"{name}.{kind}" for name in norm for kind in ("weight", "bias")]
    return {name: model.get_parameter(name).detach().cpu().clone() for name in names}


def distributions(values: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, list[float]]]:
    """Return histograms of each layer's values over common bins.

    Args:
        values: results of `first_values` by state of the network (`start`, `trained`, `random`), with the same names
            in each.

    Returns:
        For each name `edges` (41), and for each key of `values` the fraction of values in each of the 40 bins; the
        fractions add up to 1.
    """
    first = next(iter(values.values()))
    return {name: _distribution({key: state[name] for key, state in values.items()}) for name in first}


def _distribution(values: Mapping[str, Tensor]) -> dict[str, list[float]]:
    # Edges over all states, so that their histograms can be drawn over each other.
    pooled = torch.cat([tensor.flatten().double() for tensor in values.values()]).numpy()
    edges = np.histogram_bin_edges(pooled, bins=BINS)
    counts = {key: np.histogram(tensor.double().numpy(), bins=edges)[0] for key, tensor in values.items()}
    fractions = {key: [round(float(part), 6) for part in count / count.sum()] for key, count in counts.items()}
    return {"edges": [float(f"{edge:.6g}") for edge in edges]} | fractions
