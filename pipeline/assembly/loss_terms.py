"""Loss terms of a recipe's regularizers: one per phase, built when the phase begins."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from pipeline.assembly import channel_weights, networks, regularizers
from pipeline.assembly.resumption import NOT_KEPT, Resumption
from pipeline.core import seeding
from pipeline.core.choices import NONE
from pipeline.core.recipe import Recipe
from pipeline.core.records import Record
from pipeline.core.sections import Phase
from pipeline.networks.build import build
from pipeline.networks.network import Network
from pipeline.regularizers.feature_hooks import freeze_reference
from pipeline.regularizers.feature_regularizer import FeatureRegularizer
from pipeline.training import contract


def loss_terms(
    recipe: Recipe,
    network: Network,
    record: Record,
    *,
    data_sha256: str,
    eval_examples: Callable[[], contract.Examples],
    keeping: Resumption = NOT_KEPT,
) -> list[Callable[[], FeatureRegularizer | None]]:
    """Return a builder of the loss term per phase; an empty list if no phase adds a term.

    Args:
        recipe: the phases and their options.
        network: the network that trains, with its initial values.
        record: the record of the run, see `run_record`.
        data_sha256: digest of the packed set.
        eval_examples: builds the training images with the eval transform, for DELTA's channel weights.
        keeping: how the state of their computation is kept.
    """
    classes = len(record.data.classes)
    methods = {phase.regularizer for phase in recipe.train.phases}
    # First of all: without a loss term no copy of the network is needed.
    if not any(regularizers.adds_to_the_loss(method) for method in methods):
        return []
    reference = reference_network(recipe, network, classes=classes)
    weights = None
    hooked_layers = sorted({layer for phase in record.phases for layer in phase.hooked_layers or ()})
    if channel_weights.METHOD in methods and hooked_layers:
        weights = channel_weights.channels(
            recipe,
            eval_examples(),
            hooked_layers,
            classes=classes,
            pretrained=regularizers.pretrained_values(recipe, reference),
            follows_from=_origin(record, data_sha256),
            keeping=keeping,
        )
    return LossTerms(recipe, network, reference=reference, repeat=record.repeat, channel_weights=weights).makers()


# Of a record, what channel weights follow from besides settings and images.
DECIDING = {"data", "weights", "device", "device_model", "cpu_instructions", "precision", "threads"}


def _origin(record: Record, data_sha256: str) -> dict[str, Any]:
    """Return the inputs of channel weights besides settings; with random weights, the repeat is one of them."""
    plain = record.model_dump(mode="json", include=DECIDING)
    return plain | {"data_sha256": data_sha256} | ({} if record.weights.sha256 else {"repeat": record.repeat})


def reference_network(recipe: Recipe, network: Network, *, classes: int) -> Network:
    """Return a frozen copy of the network as it is now, without its attention, of which nothing is pre-trained."""
    plan = networks.plan(recipe, classes=classes)
    if plan.attention == NONE:
        return cast(Network, freeze_reference(network))
    plain = build(replace(plan, attention=NONE), pretrained=None)
    # Inserted modules have names of their own, so that the plain network's are among these.
    values = network.model.state_dict()
    plain.model.load_state_dict({name: values[name] for name in plain.model.state_dict()})
    return cast(Network, freeze_reference(plain)).to(next(network.parameters()).device)


class LossTerms:
    """Loss terms of a training, built phase by phase as each begins.

    The reference is the pre-trained network. In a phase that continues the one before, it is the network at the end of
    that phase, statistics of batch norms included, and the method's own parameters start anew.

    Args:
        recipe: the phases and their options.
        network: the network that trains, on its device, before training.
        reference: the pre-trained network, frozen, on the same device.
        repeat: number of the repeat, the seed of a method's own parameters.
        channel_weights: DELTA's channel weights (C,) by layer.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: Network,
        *,
        reference: Network,
        repeat: int,
        channel_weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._recipe = recipe
        self._network = network
        self._reference = reference
        self._repeat = repeat
        self._channel_weights = channel_weights

    def makers(self) -> list[Callable[[], FeatureRegularizer | None]]:
        """Return one builder per phase, to be called in order, each after its phase has applied its freezing."""
        return [partial(self._make, number, phase) for number, phase in enumerate(self._recipe.train.phases)]

    def _make(self, number: int, phase: Phase) -> FeatureRegularizer | None:
        if phase.continues:
            self._reference = cast(Network, freeze_reference(self._network))
        # Forked, so that dropout draws the same numbers whatever a method draws.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seeding.derive("regularizer", self._repeat, number))
            regularizer = regularizers.make(
                self._recipe,
                self._network,
                phase.regularizer,
                reference=self._reference,
                channel_weights=self._channel_weights,
            )
        if regularizer is None:
            return None
        device = next(self._network.parameters()).device
        hooked_layers = regularizers.comparison(self._recipe, self._network, phase.regularizer).hooked_layers
        # The reference runs no further than the deepest layer that is compared.
        stop = max((regularizers.step_of(self._reference, layer) for layer in hooked_layers), default=-1) + 1
        return FeatureRegularizer(self._network, self._reference, regularizer.to(device), hooked_layers, stop=stop)
