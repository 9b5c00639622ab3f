"""The penalty on the head, which all methods but L2 and L2-FE add."""

import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.regularizers.feature_hooks import submodule
from pipeline.regularizers.precision import upcast_float32

HEAD_PENALTY = "head_penalty"


def head_penalty(network: nn.Module, head: str, beta: float) -> dict[str, Tensor]:
    """Compute beta/2 ||w||^2 over all parameters of the head, biases included.

    Args:
        network: the network that trains.
        head: name of its classifier.
        beta: weight of the penalty.

    Returns:
        One scalar, named `head_penalty`.

    Raises:
        InputError: for a name that the network lacks, and for a module without parameters.

    Source:
        L2-SP, its second term; SPA-GCA Eq. 6, 11, 12, "weight decay" over the fully-connected layers. Departure: the
        factor 1/2 and the biases are from the published code of DELTA and AFA; the paper mentions neither.
    """
    squares = [upcast_float32(parameter).square().sum() for parameter in submodule(network, head).parameters()]
    if not squares:
        raise InputError(f"module {head!r} is not a classifier: it has no weights to penalize; name the last layer")
    return {HEAD_PENALTY: beta / 2 * torch.stack(squares).sum()}
