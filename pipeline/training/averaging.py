"""Average of a network's weights over the steps of a phase, which is what is validated and tested in their place."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """Exponential moving average of all parameters and of the statistics of batch norms.

    a <- decay * a + (1 - decay) * w after each step; the first step's weights are where it begins. Counters, such as a
    batch norm's number of batches, are the network's own. A parameter that does not train stays as it is, bit by bit.

    Args:
        network: copied.
        decay: in [0, 1).

    Source:
        torch.optim.swa_utils.AveragedModel. Departures: its `use_buffers` averages counters too; and it copies its
        number of steps to the device in each.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network)
        self._average = get_ema_multi_avg_fn(decay)
        self._begun = False

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Add the network's weights as a step has left them."""
        pairs = list(zip(_values(self.network), _values(network), strict=True))
        averaged = [pair for pair in pairs if self._begun and pair[0].is_floating_point()]
        for own, value in pairs:
            if not self._begun or not own.is_floating_point():
                own.copy_(value)
        if averaged:
            # The number of steps, which counts in other averages alone.
            self._average([own for own, _ in averaged], [value for _, value in averaged], 0)
        self._begun = True

    def state(self) -> dict[str, Any]:
        """Return what `load_state` takes."""
        return {"begun": self._begun, "network": self.network.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` returned."""
        self._begun = state["begun"]
        self.network.load_state_dict(state["network"])


def _values(network: nn.Module) -> Iterator[Tensor]:
    """Yield parameters and buffers."""
    return chain(network.parameters(), network.buffers())
