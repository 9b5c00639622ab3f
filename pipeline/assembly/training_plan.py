"""Phases, learning rates and examples of a recipe's training."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.full_memory import is_out_of_main_memory, is_out_of_memory
from pipeline.core.recipe import Recipe
from pipeline.core.sections import SOLVED
from pipeline.datasets.prepared.packed import Packed
from pipeline.datasets.transforms.image_transform import ImageTransform
from pipeline.networks import freezing
from pipeline.networks.network import Network
from pipeline.regularizers.table import METHODS
from pipeline.training import contract
from pipeline.training.contract import LossTerm, PhasePlan, Prepare, TrainingPlan, as_it_is
from pipeline.training.images import Images


def phase_setups(recipe: Recipe, network: Network) -> list[Callable[[], None]]:
    """Return, per phase, a callable that applies its freezing."""
    freeze_bn_stats = recipe.train.freeze_bn_stats
    return [
        partial(freezing.freeze, network, phase.freeze, freeze_bn_stats=freeze_bn_stats)
        for phase in recipe.train.phases
    ]


def training_plan(
    recipe: Recipe,
    network: Network,
    loss_terms: Sequence[Callable[[], LossTerm | None]] = (),
    *,
    solve_head: Prepare = as_it_is,
) -> TrainingPlan:
    """Build phases, factors of the learning rate, sampler and class weights for the loop.

    Args:
        recipe: the recipe.
        network: the network that the phases freeze.
        loss_terms: builder of the loss term per phase; an empty sequence for none.
        solve_head: solves the head, where a phase begins with it; by default does nothing.
    """
    train = recipe.train
    makers = loss_terms or [lambda: None] * len(train.phases)
    return TrainingPlan(
        phases=tuple(
            PhasePlan(
                phase.amount,
                phase.lr,
                start=start,
                prepare=solve_head if phase.head == SOLVED else as_it_is,
                loss_term=loss_term,
                continues=phase.continues,
            )
            for phase, start, loss_term in zip(train.phases, phase_setups(recipe, network), makers, strict=True)
        ),
        lr_factors=lr_factors(recipe, network),
        sampler=train.sampler,
        class_weights=train.class_weights,
        groups=network.groups_by_stage if train.layer_decay < 1 else None,
        label_smoothing=train.label_smoothing,
        mixup=train.mixup,
        cutmix=train.cutmix,
        weight_ema=train.weight_ema,
        early_stop=train.early_stop,
    )


def lr_factors(recipe: Recipe, network: Network) -> dict[str, float]:
    """Return the factor of the rate by group of parameters; with layer decay the backbone's groups are its stages.

    From the head down, each stage that has parameters has `train.layer_decay` times the factor of the one behind it.

    Source:
        Howard and Ruder 2018, ULMFiT, section 3.2, by stages; BEiT and timm by layers.
    """
    factors: dict[str, float] = recipe.train.lr_factors.model_dump()
    if recipe.train.layer_decay == 1:
        return factors
    # Every stage of the network counts, also one that does not train.
    stages = [stage for stage, steps in network.stages() if any(any(network.parameters_of(step)) for step in steps)]
    names = [stage for stage in dict.fromkeys(stages) if stage not in ("attention", "head")]
    by_stage = {
        stage: factors["backbone"] * recipe.train.layer_decay**place for place, stage in enumerate(reversed(names), 1)
    }
    return by_stage | {name: factors[name] for name in ("attention", "head")}


def training_examples(
    data: Packed, parts: Mapping[str, Tensor], device: torch.device, transform: ImageTransform
) -> contract.Examples:
    """Return training and validation examples; test rows are never passed.

    Args:
        data: the packed set.
        parts: row numbers by part.
        device: the device of the batches.
        transform: the transform of the images.
    """
    # Test rows are not even copied to the device.
    rows = torch.cat([parts["train"], parts["val"]])
    images = Images(data.images, rows, mean=data.mean, std=data.std, device=device, transform=transform)
    return contract.Examples(images, torch.from_numpy(data.labels), parts["train"], parts["val"])


def as_user_error(error: Exception, recipe: Recipe, data: Packed) -> Exception:
    """Return an InputError for a failure of the loop that settings can mend; other errors unchanged."""
    train, method = recipe.train, recipe.regularizer.method
    if is_out_of_memory(error):
        return InputError(_room(recipe, "the GPU", more="a GPU"))
    if is_out_of_main_memory(error):
        return InputError(_room(recipe, "main memory", more="a machine"))
    if isinstance(error, contract.NotFiniteError):
        files = ", ".join(data.paths[row] for row in error.rows)
        pulls = method != NONE and METHODS[method].needs_pretrained
        own = f", or a smaller alpha of regularizer {method}" if pulls else ""
        return InputError(f"{error}; a smaller lr often helps (now {train.lr}){own}; the batch: {files}")
    # Torch's message for a batch of one image whose map has one position.
    if str(error).startswith("Expected more than 1 value per channel"):
        return InputError(
            f"batch_size: {train.batch_size} leaves a last batch of one image, whose map of one position a batch norm "
            "cannot normalize; change it by one, or raise data.input_size"
        )
    return error


def _room(recipe: Recipe, memory: str, *, more: str) -> str:
    """Return what takes memory and how to take less of it; `more` is what may have more."""
    train, data = recipe.train, recipe.data
    smaller = f"-S batch_size={train.batch_size // 2}" if train.batch_size > 1 else f"{more} with more memory"
    halved = "" if train.precision == "bf16" else ", or -S defaults.train.precision=bf16"
    cache = f", or -S defaults.train.feature_cache_mb=0 (now {train.feature_cache_mb})" * (train.feature_cache_mb > 0)
    return (
        f"batch_size: {memory} has no room for a step of {train.batch_size} images of {data.input_size} x "
        f"{data.input_size} in {train.precision}; take {smaller}{halved}{cache}, or a smaller image_size"
    )
