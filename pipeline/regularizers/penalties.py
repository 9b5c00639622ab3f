"""What every method but weight decay asks of the head."""

import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.regularizers.feature_hooks import named
from pipeline.regularizers.precision import upcast_float32

HEAD_PENALTY = "head_penalty"


def head_penalty(network: nn.Module, head: str, beta: float) -> dict[str, Tensor]:
    """beta/2 ||w||^2 over all of the head's values, weights and biases.

    Args:
        network: the one that trains.
        head: the name of its classifier.
        beta: the strength.

    Returns:
        One scalar, named `head_penalty`.

    Raises:
        InputError: for a name that the network has not, and a module without values.

    Source:
        L2-SP, its second term; SPA-GCA Eq. 6, 11, 12, "weight decay" over the fully-connected layers. Departure: the
        factor 1/2 and that biases count are the published code's, the paper says neither.
    """
    squares = [upcast_float32(parameter).square().sum() for parameter in named(network, head).parameters()]
    if not squares:
        raise InputError(f"module {head!r} is no classifier: it has no weights to penalise; name the last layer")
    return {HEAD_PENALTY: beta / 2 * torch.stack(squares).sum()}
