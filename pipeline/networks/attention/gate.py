"""Gates, which turn logits into weights."""

from collections.abc import Callable

from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.networks.attention.steady import sigmoid

Gate = Callable[[Tensor], Tensor]


def _twice_sigmoid(z: Tensor) -> Tensor:
    return 2 * sigmoid(z)


GATES: dict[str, Gate] = {"paper": sigmoid, "identity": _twice_sigmoid}


def make_gate(gate_init: str, *last: nn.Module) -> Gate:
    """Return the gate, and initialize the layers that compute its logits.

    `paper`: sigmoid(z) with random z at the start of training, which scales pre-trained activations down: channels by
    factors around 1/2 (nearest to it in SE, further apart in CBAM and ECSM), positions by factors from near 0 to near 1
    that differ with the network and the seed.
    `identity`: 2 sigmoid(z) with z = 0 at the start, so that the network starts equal to the pre-trained one.

    Args:
        gate_init: a row of `GATES`.
        last: the layers whose outputs sum to z; `identity` sets all their parameters to zero, `paper` none.

    Returns:
        An elementwise function of z, of any shape.

    Raises:
        InputError: for an unknown name, listing the known ones.

    Source:
        `paper` is the gate of each mechanism's paper; `identity` is ours.
    """
    if gate_init not in GATES:
        raise InputError(f"gate_init: {gate_init!r} is not known; known: {', '.join(GATES)}")
    if gate_init == "identity":
        # z = 0 at the start: 2 sigmoid(0) = 1.
        for layer in last:
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
    return GATES[gate_init]
