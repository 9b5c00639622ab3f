"""Predictions and validation scores of a network in eval mode."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.core.precision import autocast
from pipeline.training.contract import Examples, Row, Settings, Trainable
from pipeline.training.features import Features


@torch.no_grad()
def predict(
    network: Trainable,
    features: Features,
    rows: Tensor,
    settings: Settings,
    *,
    device: torch.device,
    on_batch: Callable[[], object] = lambda: None,
) -> Tensor:
    """Return class scores (n, K) of these rows (n,) in eval mode, float32 on the CPU; `on_batch` may raise to stop."""
    network.eval()
    scores = []
    for batch in rows.split(settings.batch_size):
        on_batch()
        with autocast(settings.precision, device.type):
            # Softmax and loss of bf16 scores would lose digits.
            scores.append(network.run(features(batch), start=features.prefix).float())
    return torch.cat(scores).cpu()


def validate(
    network: Trainable,
    features: Features,
    examples: Examples,
    settings: Settings,
    *,
    on_batch: Callable[[], object] = lambda: None,
) -> Row:
    """Return loss and accuracy on the validation rows; empty if there are none. `on_batch` may raise to stop."""
    if not len(examples.val):
        return {}
    device = examples.images.device
    scores = predict(network, features, examples.val, settings, device=device, on_batch=on_batch)
    labels = examples.labels[examples.val]
    return {
        "val_loss": F.cross_entropy(scores, labels).item(),
        "val_accuracy": (scores.argmax(1) == labels).double().mean().item(),
    }
