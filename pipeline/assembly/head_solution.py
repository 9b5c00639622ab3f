"""The head of a network solved on its frozen features, the first half of linear probing then fine-tuning.

Source:
    Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, section 4
    (LP-FT). Departure: the penalty's strength is chosen by cross-validation inside the training part.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.precision import Precision, autocast
from pipeline.networks.network import Network
from pipeline.training import linear_probe
from pipeline.training.contract import Examples
from pipeline.training.predict import Collected, pooled


def solve(
    network: Network,
    examples: Examples,
    groups: NDArray[np.int64],
    *,
    balanced: bool,
    batch_size: int,
    precision: Precision,
    on_batch: Callable[[], object] = lambda: None,
) -> None:
    """Set the last layer to the logistic regression on what reaches it of the training images, in eval mode.

    Args:
        network: changed in place, left in eval mode; no random number is drawn.
        examples: with the eval transform; of these the training rows alone.
        groups: (n,) of these rows, a number for each group of copies, see `linear_probe.fit`.
        balanced: whether an image of class k counts n / (K n_k).
        batch_size: images per forward pass.
        precision: of the forward passes.
        on_batch: called before each of these, and as the head is fitted; may raise to stop.
    """
    layer, collected = last_layer(network), Collected()

    def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        collected.add(pooled(inputs[0]).float())

    hook = layer.register_forward_pre_hook(keep)
    network.eval()
    try:
        for rows in examples.images.placed(examples.train)[0].split(batch_size):
            on_batch()
            with torch.no_grad(), autocast(precision, examples.images.device.type):
                network.run(examples.images.batch(rows))
    finally:
        hook.remove()
    features, labels = collected.joined().double().numpy(), examples.labels[examples.train].numpy()
    probe = linear_probe.fit(
        features, labels.astype(np.int64), groups, classes=len(layer.weight), balanced=balanced, on_fit=on_batch
    )
    on_batch()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(probe.weight).view_as(layer.weight))
        assert layer.bias is not None
        layer.bias.copy_(torch.from_numpy(probe.bias))


def last_layer(network: Network) -> nn.Linear | nn.Conv2d:
    """Return the layer that computes the class scores."""
    head = network.steps[network.head_start :]
    layers = [
        module
        for name, module in network.model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and any(step.holds(name) for step in head)
    ]
    return layers[-1]
