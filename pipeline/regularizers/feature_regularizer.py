"""A regularizer on the forward passes of two networks, in the form of a loss term of the training loop."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.regularizers.contract import FeatureMaps, Regularizer
from pipeline.regularizers.diagnostics import spread
from pipeline.regularizers.feature_hooks import FeatureHooks

# The loop's own scalars.
TAKEN = ("loss", "accuracy")


def _check(terms: Mapping[str, Tensor], method: str) -> None:
    """Refuse what cannot be added to the loss, or would take the place of a scalar of the loop."""
    for name, term in terms.items():
        if name in TAKEN:
            raise InputError(
                f"regularizer {method!r} returns {name!r}, which is a scalar of the training itself; rename it"
            )
        if term.ndim:
            raise InputError(
                f"regularizer {method!r} returns {name!r} of shape {tuple(term.shape)}; return a scalar, the mean over "
                "the batch"
            )


class Runnable(Protocol):
    """A network that runs in steps; hooked layers are named as modules of `model`."""

    @property
    def model(self) -> nn.Module:
        """The model that holds all modules."""

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        """Run the steps from number `start` up to, not including, number `stop`."""


class FeatureRegularizer:
    """Loss term of a regularizer: scalars computed from the feature maps of the target and the reference network.

    Args:
        network: the target network, the one that trains.
        reference: the frozen network (see `feature_hooks.freeze_reference`). A pass that starts at a later step takes
            the same input in both networks, so that their steps before it must be equal.
        regularizer: the method.
        hooked_layers: modules of both networks whose outputs are compared; without any, the reference does not run.
        stop: number of the reference's steps to run, up to and including that of the last hooked layer.

    Raises:
        InputError: for a layer that one of the networks lacks.
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
        self._target_hooks = FeatureHooks(network.model, self._hooked_layers)
        self._reference_hooks = FeatureHooks(reference.model, self._hooked_layers)
        self._stop = stop
        self._last: tuple[FeatureMaps, FeatureMaps] = ({}, {})

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the method's own parameters."""
        return self._regularizer.parameters()

    @torch.no_grad()
    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        """Return the reference's maps, (N, C, H, W) by layer, for the input x of step number `start`."""
        if not self._hooked_layers:
            return {}
        with self._reference_hooks as maps:
            self._reference.run(x, start=start, stop=self._stop)
        return maps

    def run(self, x: Tensor, reference: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the target network's class scores (N, K) and the method's scalars.

        Raises:
            InputError: for a term that is no scalar, or has the name of one of the loop's.
        """
        # Frees the last batch's maps before this pass needs the memory.
        self._last = {}, {}
        with self._target_hooks as target:
            scores = self._network.run(x, start=start)
        # Detached: the maps outlive this step, its autograd graph must not.
        self._last = {layer: values.detach() for layer, values in target.items()}, reference
        terms = self._regularizer(target, reference, self._network.model)
        _check(terms, self._regularizer.name)
        return scores, terms

    def state(self) -> dict[str, Any]:
        """Return the values of the method and of the reference network."""
        return {"method": self._regularizer.state_dict(), "reference": self._reference.model.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` returned."""
        self._regularizer.load_state_dict(state["method"])
        self._reference.model.load_state_dict(state["reference"])

    @torch.no_grad()
    def diagnosis(self) -> dict[str, Tensor]:
        """Return the spread of the weights in the last batch: `entropy/LAYER`, `maximum/LAYER`, `mass/LAYER`."""
        weights = self._regularizer.weights(*self._last) if self._hooked_layers else {}
        spreads = spread(weights) if weights else {}
        return {
            f"{statistic}/{layer}": value
            for layer, layer_spread in spreads.items()
            for statistic, value in layer_spread._asdict().items()
        }
