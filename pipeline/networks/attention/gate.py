"""What makes a weight of a logit."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError

Gate = Callable[[Tensor], Tensor]


def _twice_sigmoid(z: Tensor) -> Tensor:
    return 2 * torch.sigmoid(z)


GATES: dict[str, Gate] = {"paper": torch.sigmoid, "identity": _twice_sigmoid}


def make_gate(gate_init: str, *last: nn.Module) -> Gate:
    """The gate, and the start of the layers that feed it.

    `paper`: sigmoid(z), which starts near 1/2 and so scales pre-trained activations down wherever it is put.
    `identity`: 2 sigmoid(z) with z = 0 at first, so that the network starts as the pre-trained one.

    Args:
        gate_init: a row of `GATES`.
        last: the layers whose sum z is; `identity` sets all their parameters to zero, `paper` leaves them as they are.

    Returns:
        A function of z, of any shape, element by element.

    Raises:
        InputError: for an unknown name, listing the known ones.

    Source:
        `paper` is each paper's own; `identity` is ours.
    """
    if gate_init not in GATES:
        raise InputError(f"gate_init: {gate_init!r} is not known; known: {', '.join(GATES)}")
    if gate_init == "identity":
        for layer in last:
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
    return GATES[gate_init]
