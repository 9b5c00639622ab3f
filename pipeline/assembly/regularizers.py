"""Regularizers of a recipe, and the layers that they compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pipeline.assembly import training_plan
from pipeline.core import compiler
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.core.records import PhaseRecord
from pipeline.core.sections import SOLVED, Phase
from pipeline.networks import freezing
from pipeline.networks.backbones.table import backbone
from pipeline.networks.heads.table import HEADS
from pipeline.networks.insertion import on_meta
from pipeline.networks.network import Network
from pipeline.networks.shapes_alone import ShapesAlone
from pipeline.regularizers.contract import Regularizer, Shapes
from pipeline.regularizers.feature_hooks import FeatureHooks, submodule
from pipeline.regularizers.filter_importance import convolution
from pipeline.regularizers.head_decay import HeadDecay
from pipeline.regularizers.table import METHODS, TRAIN_OVERRIDES

COMPARES = "shapes"
# Options of computing channel weights; the method itself takes none of them.
WEIGHING = ("batches", "filters_at_once")


@dataclass(frozen=True)
class Comparison:
    """Layers of a backbone that a phase compares.

    Attributes:
        hooked_layers: layers behind a parameter that trains.
        idle: layers in front of all parameters that train. Both networks give the same there, so they are left out;
            that changes nothing but GCA, whose weights could otherwise move to channels that cannot differ.
    """

    hooked_layers: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


def compares_maps(method: str) -> bool:
    """Return whether a method compares feature maps."""
    return COMPARES in METHODS[method].needs


def adds_to_the_loss(method: str) -> bool:
    """Return whether a method adds a loss term; L2 is the optimizer's weight decay, L2-FE the network's freezing."""
    return bool(METHODS[method].needs)


def comparison(recipe: Recipe, network: Network, method: str) -> Comparison:
    """Return the layers to compare under the current freezing; none for a method without feature maps."""
    if not compares_maps(method):
        return Comparison()
    hooked_layers = backbone(recipe.network.backbone).hooked_layers
    prefix = network.frozen_prefix()
    idle = tuple(layer for layer in hooked_layers if step_of(network, layer) < prefix)
    return Comparison(tuple(layer for layer in hooked_layers if layer not in idle), idle)


def step_of(network: Network, module: str) -> int:
    """Return the number of the step that holds a module."""
    return next(number for number, step in enumerate(network.steps) if step.holds(module))


@compiler.deferred()
@torch.no_grad()
def shapes(network: Network, hooked_layers: tuple[str, ...], image_size: int) -> Shapes:
    """Return (C, H, W) by layer for one image; on the meta device, without values."""
    meta = on_meta(network).eval()
    with FeatureHooks(meta.model, hooked_layers) as maps, ShapesAlone():
        meta(torch.empty(1, 3, image_size, image_size, device="meta"))
    return {layer: tuple(maps[layer].shape[1:]) for layer in hooked_layers}


def new_head(recipe: Recipe, network: Network) -> str:
    """Return the name of the module whose values are new: the classifier, or its last layer if others have weights."""
    row = backbone(recipe.network.backbone)
    if not (HEADS[recipe.network.head].keeps_classifier and row.hidden) or recipe.network.weights == NONE:
        return row.classifier
    layers = submodule(network.model, row.classifier).named_children()
    names = [f"{row.classifier}.{name}" for name, layer in layers if any(True for _ in layer.parameters())]
    return next(name for name in names if not f"{name}.".startswith(row.hidden))


def pretrained_values(recipe: Recipe, network: Network) -> dict[str, Tensor]:
    """Return the values of a network without attention that are not new, by name, before it trains."""
    new = (f"{new_head(recipe, network)}.", *backbone(recipe.network.backbone).unused)
    return {name: value for name, value in network.model.state_dict().items() if not name.startswith(new)}


def make(
    recipe: Recipe,
    network: Network,
    method: str,
    *,
    reference: Network,
    channel_weights: Mapping[str, Tensor] | None = None,
) -> Regularizer | None:
    """Build the regularizer of a method under the current freezing; None for a method without a loss term.

    Args:
        recipe: the recipe; its options of the method.
        network: the network that trains.
        method: a row of `METHODS`.
        reference: the network whose values or maps are the target.
        channel_weights: DELTA's channel weights (C,) by layer; None for equal weights, where only the structure counts.

    Raises:
        InputError: for a backbone without feature maps (or convolutions, where filters are weighed), and options that
            do not fit them.
    """
    if not adds_to_the_loss(method):
        return None
    own = recipe.options_of("regularizer", method)
    options = {name: value for name, value in own.items() if name not in TRAIN_OVERRIDES}
    head = new_head(recipe, network)
    hooked_layers = comparison(recipe, network, method).hooked_layers
    if hooked_layers and backbone(recipe.network.backbone).channels_last:
        raise InputError(
            f"regularizer: {method!r} compares maps (N, C, H, W), and the layers of {recipe.network.backbone} give "
            "(N, H, W, C); choose l2_sp, or another backbone"
        )
    if compares_maps(method) and not hooked_layers:
        # No map can differ: the decay of the head is all that is left of the method.
        return HeadDecay(head=head, **{name: options[name] for name in ("beta",) if name in options})
    options = {name: value for name, value in options.items() if name not in WEIGHING}
    sizes = shapes(network, hooked_layers, recipe.data.input_size) if hooked_layers else {}
    if "channel_weights" in METHODS[method].needs:
        # Only a convolution has filters; raises for other layers, before anything trains.
        for layer in hooked_layers:
            convolution(network.model, layer)
    weights = channel_weights or {layer: torch.ones(size[0]) for layer, size in sizes.items()}
    available: dict[str, Any] = {
        "shapes": sizes,
        "head": head,
        "network": reference.model,
        "inserted": reference.inserted,
        "channel_weights": weights,
    }
    row = METHODS[method]
    return row.make(**{need: available[need] for need in row.needs}, **options)


def phase_records(recipe: Recipe, network: Network) -> tuple[PhaseRecord, ...]:
    """Return the record of each phase; leaves the network with the freezing of the last phase.

    Raises:
        InputError: see `make`.
    """
    records = []
    trained_from = len(network.steps)
    for phase, start in zip(recipe.train.phases, training_plan.phase_setups(recipe, network), strict=True):
        start()
        _check_prefix(recipe, network, phase, trained_from)
        trained_from = min(trained_from, network.frozen_prefix())
        counted, compared = freezing.count(network), _compared(recipe, network, phase.regularizer)
        head = {"head": SOLVED} if phase.head == SOLVED else {}
        records.append(PhaseRecord(**phase.model_dump(exclude={"continues", "head"}), **head, **counted, **compared))
    return tuple(records)


def _check_prefix(recipe: Recipe, network: Network, phase: Phase, trained_from: int) -> None:
    """Refuse frozen layers that an earlier phase trained, in front of maps that are compared with pre-trained ones.

    Both networks run from the same input of the first layer that trains, which would then be no pre-trained network's.

    Raises:
        InputError: naming the method and the strategy.
    """
    layers = comparison(recipe, network, phase.regularizer).hooked_layers
    if layers and not phase.continues and network.frozen_prefix() > trained_from:
        raise InputError(
            f"train.phases: {phase.freeze!r} freezes layers that an earlier phase trains, and regularizer "
            f"{phase.regularizer!r} compares with the pre-trained network behind them; order the phases such that "
            "each trains what the one before trained, or choose l2_sp"
        )


def _compared(recipe: Recipe, network: Network, method: str) -> dict[str, Any]:
    # Forked, so that recording a run changes none of its random numbers.
    with torch.random.fork_rng(devices=[]):
        regularizer = make(recipe, network, method, reference=network)
    if regularizer is None or not compares_maps(method):
        return {}
    layers = comparison(recipe, network, method)
    own = sum(parameter.numel() for parameter in regularizer.parameters())
    return {
        "regularizer_parameters": own,
        "hooked_layers": list(layers.hooked_layers),
        "idle_layers": list(layers.idle),
    }


def own_parameters(phases: Sequence[PhaseRecord]) -> int:
    """Return the number of parameters of all phases' regularizers; a method of several phases counts once."""
    largest: dict[str, int] = {}
    for phase in phases:
        method = phase.regularizer
        largest[method] = max(largest.get(method, 0), phase.regularizer_parameters or 0)
    return sum(largest.values())
