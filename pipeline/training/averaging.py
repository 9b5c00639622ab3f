"""Average of a network's weights over the steps of a phase, which is what is validated and tested in their place."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class WeightAverage:
    """Exponential moving average of all parameters and of the statistics of batch norms.

    a <- decay * a + (1 - decay) * w after each step; the first step's weights are where it begins. Counters, such as a
    batch norm's number of batches, are the network's own. A parameter that does not train stays as it is, bit by bit.

    Args:
        network: copied.
        decay: in [0, 1).

    Source:
        torch.optim.swa_utils.AveragedModel. Departure: its `use_buffers` averages counters too.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        average = get_ema_multi_avg_fn(decay)
        self._average = AveragedModel(network, multi_avg_fn=average, use_buffers=True)

    @property
    def network(self) -> nn.Module:
        """The network of the averaged weights."""
        return self._average.module

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Add the network's weights as a step has left them."""
        self._average.update_parameters(network)
        for own, value in zip(self.network.buffers(), network.buffers(), strict=True):
            if not own.is_floating_point():
                own.copy_(value)

    def state(self) -> dict[str, Any]:
        """Return what `load_state` takes."""
        return dict(self._average.state_dict())

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` returned."""
        self._average.load_state_dict(state)
