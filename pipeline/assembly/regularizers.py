"""From a recipe to what is added to the loss: which taps are compared, with which source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pipeline.assembly import training_plan
from pipeline.core import compiler
from pipeline.core.recipe import Recipe
from pipeline.core.records import PhaseRecord
from pipeline.networks import freezing
from pipeline.networks.backbones.table import backbone
from pipeline.networks.insertion import on_meta
from pipeline.networks.network import Network
from pipeline.regularizers.contract import Regularizer, Shapes
from pipeline.regularizers.head_decay import HeadDecay
from pipeline.regularizers.rises import convolution
from pipeline.regularizers.table import METHODS, TRAIN_OVERRIDES
from pipeline.regularizers.taps import Tapped

COMPARES = "shapes"
# Options of how channel weights are found, which the method itself is not given.
WEIGHING = ("batches", "filters_at_once")


@dataclass(frozen=True)
class Comparison:
    """Which of a backbone's taps a part of a training compares.

    Attributes:
        taps: those behind something that trains.
        idle: those in front of all that trains: both networks give the same there, so that they are left out. The
            result is the same but for GCA, whose weights could else run into channels that cannot differ.
    """

    taps: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


def compares_maps(method: str) -> bool:
    """Whether a method looks at feature maps."""
    return COMPARES in METHODS[method].needs


def adds_to_the_loss(method: str) -> bool:
    """Whether a method has a term of its own; weight decay and freezing are the optimizer's and the network's."""
    return bool(METHODS[method].needs)


def comparison(recipe: Recipe, network: Network, method: str) -> Comparison:
    """The taps of the network as it is frozen now; none for a method that compares no maps."""
    if not compares_maps(method):
        return Comparison()
    taps = backbone(recipe.network.backbone).taps
    prefix = network.frozen_prefix()
    idle = tuple(tap for tap in taps if step_of(network, tap) < prefix)
    return Comparison(tuple(tap for tap in taps if tap not in idle), idle)


def step_of(network: Network, module: str) -> int:
    """The number of the step that a module is in."""
    return next(number for number, step in enumerate(network.steps) if step.holds(module))


@compiler.deferred()
@torch.no_grad()
def shapes(network: Network, taps: tuple[str, ...], image_size: int) -> Shapes:
    """(C, H, W) by tap for one image; nothing is computed."""
    meta = on_meta(network).eval()
    with Tapped(meta.model, taps) as found:
        meta(torch.empty(1, 3, image_size, image_size, device="meta"))
    return {tap: tuple(found[tap].shape[1:]) for tap in taps}


def make(
    recipe: Recipe,
    network: Network,
    method: str,
    *,
    source: Network,
    channel_weights: Mapping[str, Tensor] | None = None,
) -> Regularizer | None:
    """A method's own part for the network as it is frozen now; None for one that adds nothing to the loss.

    Args:
        recipe: names the options.
        network: the one that trains.
        method: a row of `METHODS`.
        source: holds the values to stay near.
        channel_weights: DELTA's by tap; None weighs all alike, where only the structure matters.

    Raises:
        InputError: for a backbone without feature maps (or convolutions, where filters are weighed), and options that
            do not fit them.
    """
    if not adds_to_the_loss(method):
        return None
    own = recipe.options_of("regularizer", method)
    options = {name: value for name, value in own.items() if name not in TRAIN_OVERRIDES}
    head = backbone(recipe.network.backbone).classifier
    chosen = comparison(recipe, network, method)
    if compares_maps(method) and not chosen.taps:
        return HeadDecay(head=head, **{name: options[name] for name in ("beta",) if name in options})
    options = {name: value for name, value in options.items() if name not in WEIGHING}
    sizes = shapes(network, chosen.taps, recipe.data.input_size) if chosen.taps else {}
    if "channel_weights" in METHODS[method].needs:
        for tap in chosen.taps:
            convolution(network.model, tap)
    weights = channel_weights or {tap: torch.ones(size[0]) for tap, size in sizes.items()}
    given: dict[str, Any] = {
        "shapes": sizes,
        "head": head,
        "network": source.model,
        "added": source.added,
        "channel_weights": weights,
    }
    row = METHODS[method]
    return row.make(**{need: given[need] for need in row.needs}, **options)


def parts(recipe: Recipe, network: Network) -> tuple[PhaseRecord, ...]:
    """Return each phase of the training as it is recorded; leaves the network as the last phase has it.

    Raises:
        InputError: see `make`.
    """
    found = []
    for phase, start in zip(recipe.train.phases, training_plan.phase_setups(recipe, network), strict=True):
        start()
        counted, compared = freezing.count(network), _compared(recipe, network, phase.regularizer)
        found.append(PhaseRecord(**phase.model_dump(exclude={"continues"}), **counted, **compared))
    return tuple(found)


def _compared(recipe: Recipe, network: Network, method: str) -> dict[str, Any]:
    with torch.random.fork_rng(devices=[]):
        made = make(recipe, network, method, source=network)
    if made is None or not compares_maps(method):
        return {}
    chosen = comparison(recipe, network, method)
    own = sum(parameter.numel() for parameter in made.parameters())
    return {"regularizer_parameters": own, "taps": list(chosen.taps), "idle_taps": list(chosen.idle)}


def own_parameters(phases: Sequence[PhaseRecord]) -> int:
    """Return how many numbers the regularizers of all phases have; a method that several phases have counts once."""
    largest: dict[str, int] = {}
    for phase in phases:
        method = phase.regularizer
        largest[method] = max(largest.get(method, 0), phase.regularizer_parameters or 0)
    return sum(largest.values())
