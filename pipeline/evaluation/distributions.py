"""How the values of a network's first layers are distributed: what pre-training gave, and what training did to it."""

from collections.abc import Mapping
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

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
    """Return histograms over common bins.

    Args:
        values: by what they are (`start`, `trained`, `random`), what `first_values` gave; the same names in each.

    Returns:
        For each name `edges` (41), and under each key of `values` the part of them in each of the 40 bins; the parts
        add up to 1.
    """
    first = next(iter(values.values()))
    return {name: _distribution({key: tensors[name] for key, tensors in values.items()}) for name in first}


def _distribution(values: Mapping[str, Tensor]) -> dict[str, list[float]]:
    together = torch.cat([tensor.flatten().double() for tensor in values.values()]).numpy()
    edges = np.histogram_bin_edges(together, bins=BINS)
    counted = {key: np.histogram(tensor.double().numpy(), bins=edges)[0] for key, tensor in values.items()}
    parts = {key: [round(float(part), 6) for part in counts / counts.sum()] for key, counts in counted.items()}
    return {"edges": [float(f"{edge:.6g}") for edge in edges]} | parts
