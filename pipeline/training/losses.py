"""The loss of a batch, without the terms that regularizers add."""

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None, *, smoothing: float = 0.0) -> Tensor:
    """Return the mean over the batch of each image's loss, times the weight of its class.

    torch's own weighted mean would divide by the batch's weights, and undo them. Its own smoothing with weights counts
    each class's share of the target by that class's weight: on unbalanced classes a frequent class then costs most
    where it does not predict a rare one.

    Args:
        logits: class scores (N, K).
        labels: class numbers (N,).
        weights: of each class (K,); None where all count the same.
        smoothing: e, which makes the targets 1 - e + e / K of the class and e / K of the others (torch's own).
    """
    if weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    return (losses * weights[labels]).mean()
