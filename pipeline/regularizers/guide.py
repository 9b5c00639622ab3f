"""A regularizer on the forward passes of two networks, as the loop takes it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.regularizers.contract import Regularizer, Taps
from pipeline.regularizers.diagnostics import spread
from pipeline.regularizers.taps import Tapped


class Runnable(Protocol):
    """A network that runs in steps; names of taps are those of modules in `model`."""

    @property
    def model(self) -> nn.Module:
        """What holds the modules."""

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        """Run the steps from number `start` up to, not including, number `stop`."""


class Guide:
    """What a regularizer adds to the loss of the network that trains.

    Args:
        network: the one that trains.
        source: the frozen one (see `taps.freeze_source`), whose steps before the first tap are the same.
        regularizer: the method.
        taps: modules that both have and that the method compares; with none the source is not run.
        stop: how many of the source's steps lead to all taps.
    """

    def __init__(
        self, network: Runnable, source: Runnable, regularizer: Regularizer, taps: Sequence[str], *, stop: int
    ) -> None:
        self._network = network
        self._source = source
        self._regularizer = regularizer
        self._taps = tuple(taps)
        self._stop = stop
        self._last: tuple[Taps, Taps] = ({}, {})

    def parameters(self) -> Iterator[nn.Parameter]:
        """The method's own."""
        return self._regularizer.parameters()

    @torch.no_grad()
    def source(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        """The source's maps, (N, C, H, W) by tap, of the input of step number `start`; one forward pass for all."""
        if not self._taps:
            return {}
        with Tapped(self._source.model, self._taps) as taps:
            self._source.run(x, start=start, stop=self._stop)
        return taps

    def run(self, x: Tensor, source: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Class scores (N, K) of the network that trains, and the method's scalars."""
        self._last = {}, {}
        with Tapped(self._network.model, self._taps) as target:
            scores = self._network.run(x, start=start)
        self._last = {tap: values.detach() for tap, values in target.items()}, source
        return scores, self._regularizer(target, source, self._network.model)

    @torch.no_grad()
    def diagnosis(self) -> dict[str, float]:
        """How the weights of each tap were spread in the last batch: `entropy/TAP`, `maximum/TAP`, `mass/TAP`."""
        weights = self._regularizer.weights(*self._last) if self._taps else {}
        return {
            f"{what}/{tap}": value
            for tap, found in (spread(weights) if weights else {}).items()
            for what, value in found._asdict().items()
        }
