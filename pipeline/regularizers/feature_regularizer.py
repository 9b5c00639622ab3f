"""A regularizer on the forward passes of two networks, as the loop takes it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.regularizers.contract import FeatureMaps, Regularizer
from pipeline.regularizers.diagnostics import spread
from pipeline.regularizers.feature_hooks import FeatureHooks


class Runnable(Protocol):
    """A network that runs in steps; names of taps are those of modules in `model`."""

    @property
    def model(self) -> nn.Module:
        """What holds the modules."""

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        """Run the steps from number `start` up to, not including, number `stop`."""


class FeatureRegularizer:
    """What a regularizer adds to the loss of the network that trains.

    Args:
        network: the one that trains.
        reference: the frozen one (see `hooked_layers.freeze_reference`), whose steps before the first tap are the same.
        regularizer: the method.
        hooked_layers: modules that both have and that the method compares; with none the source is not run.
        stop: how many of the source's steps lead to all taps.
    """

    def __init__(
        self,
        network: Runnable,
        reference: Runnable,
        regularizer: Regularizer,
        hooked_layers: Sequence[str],
        *,
        stop: int,
    ) -> None:
        self._network = network
        self._reference = reference
        self._regularizer = regularizer
        self._hooked_layers = tuple(hooked_layers)
        self._stop = stop
        self._last: tuple[FeatureMaps, FeatureMaps] = ({}, {})

    def parameters(self) -> Iterator[nn.Parameter]:
        """The method's own."""
        return self._regularizer.parameters()

    @torch.no_grad()
    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        """The source's maps, (N, C, H, W) by tap, of the input of step number `start`; one forward pass for all."""
        if not self._hooked_layers:
            return {}
        with FeatureHooks(self._reference.model, self._hooked_layers) as hooked_layers:
            self._reference.run(x, start=start, stop=self._stop)
        return hooked_layers

    def run(self, x: Tensor, reference: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Class scores (N, K) of the network that trains, and the method's scalars."""
        self._last = {}, {}
        with FeatureHooks(self._network.model, self._hooked_layers) as target:
            scores = self._network.run(x, start=start)
        self._last = {layer: values.detach() for layer, values in target.items()}, reference
        return scores, self._regularizer(target, reference, self._network.model)

    @torch.no_grad()
    def diagnosis(self) -> dict[str, float]:
        """How the weights of each tap were spread in the last batch: `entropy/LAYER`, `maximum/LAYER`, `mass/LAYER`."""
        weights = self._regularizer.weights(*self._last) if self._hooked_layers else {}
        return {
            f"{what}/{layer}": value
            for layer, found in (spread(weights) if weights else {}).items()
            for what, value in found._asdict().items()
        }
