"""How long a repeat's training will take on this device, from seconds of the loop itself on images of noise.

A step of n images takes a + b n seconds: a for the optimizer and all else that is the same for any n, b for an image.
Two batch sizes give both, so that of a step too long to be tried whole a part is tried.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from pipeline.assembly import regularizers
from pipeline.assembly.loop_settings import loop_settings
from pipeline.assembly.loss_terms import LossTerms, reference_network
from pipeline.assembly.machine import Machine
from pipeline.assembly.training_plan import training_plan
from pipeline.assembly.transforms import train_transform, varies
from pipeline.core.recipe import Recipe
from pipeline.core.types import Budget
from pipeline.networks.network import Network
from pipeline.training import loop, optim
from pipeline.training.contract import Examples, TrainingPlan, TrainResult
from pipeline.training.images import Images
from pipeline.training.optim import LoopSettings

# For the measurement of all phases together; more only where a step of a few images takes longer.
SECONDS = 2.0
# Images of the small step, the fewest that a batch norm takes.
FEW = 2
# The most steps of an epoch, and epochs, that are timed: what an epoch takes beside its steps is to count as it does.
STEPS, EPOCHS = 8, 10
# Below this many operations in all forward passes, some seconds on one core, a training is over before it is estimated.
SHORT = 2e11


class PartSizes(NamedTuple):
    """Numbers of images to train on and to validate with."""

    train: int
    val: int


class Costs(NamedTuple):
    """Seconds of a phase's units of work.

    Attributes:
        step: of a step, beside its images.
        image: of an image in a step.
        cached: of an image whose output of the frozen layers is computed once; 0 where none is cached.
        val: of an image in a validation.
    """

    step: float
    image: float
    cached: float
    val: float


@dataclass(frozen=True)
class _Trial:
    """A copy of the network with the plan that trains it, and the numbers of images of the training to be estimated."""

    recipe: Recipe
    network: Network
    plan: TrainingPlan
    settings: LoopSettings
    sizes: PartSizes
    classes: int
    device: torch.device

    @property
    def batch(self) -> int:
        """Images of a whole step."""
        return min(self.settings.batch_size, self.sizes.train)


def is_short(recipe: Recipe, flops: int, sizes: PartSizes) -> bool:
    """Return whether a training takes so little that an estimate would come after its end.

    Args:
        recipe: its budget.
        flops: operations of one image's forward pass.
        sizes: its images.
    """
    budget, batch = recipe.train.budget, recipe.train.batch_size
    images = budget.amount * (sizes.train if budget.unit == "epochs" else min(batch, sizes.train))
    return images * flops < SHORT


def seconds_a_repeat(recipe: Recipe, network: Network, sizes: PartSizes, *, classes: int, on: Machine) -> float:
    """Measure for about two seconds, and return how many seconds the loop will take.

    The channel weights of `delta`, which it computes before, are no part of it. Neither the network nor torch's random
    state changes.

    Args:
        recipe: the experiment.
        network: with any values, on its device.
        sizes: the numbers of images.
        classes: K.
        on: the machine, see `machine`.
    """
    with gpu_as_before(on.device):
        own = copy.deepcopy(network)
        reference = None
        if any(regularizers.adds_to_the_loss(phase.regularizer) for phase in recipe.train.phases):
            reference = reference_network(recipe, own, classes=classes)
        terms = LossTerms(recipe, own, reference=reference, repeat=0).makers() if reference else ()
        plan, settings = training_plan(recipe, own, terms), loop_settings(recipe)
        trial = _Trial(recipe, own, plan, settings, sizes, classes, on.device)
        return sum(_seconds(trial, number) for number in range(len(plan.phases)))


@contextmanager
def gpu_as_before(device: torch.device) -> Iterator[None]:
    """Leave the random state of torch and the free memory of a GPU as they were."""
    is_cuda = device.type == "cuda"
    try:
        with torch.random.fork_rng(devices=[device] if is_cuda else []):
            yield
    finally:
        # After an error, too: `advise` trains in other processes while this one lives.
        if is_cuda:
            torch.cuda.empty_cache()


def _seconds(trial: _Trial, number: int) -> float:
    """Return the seconds of a phase."""
    costs, (train, val), batch = _costs(trial, number), trial.sizes, trial.settings.batch_size
    unit, amount = trial.settings.budget.unit, trial.plan.phases[number].amount
    steps = optim.total_steps(unit=unit, amount=amount, images=train, batch_size=batch)
    epochs = steps / ceil(train / batch)
    # Training images that vary are not cached; `_costs` then has seen it for validation images alone.
    once = val if varies(trial.recipe) else train + val
    return steps * costs.step + epochs * (train * costs.image + val * costs.val) + once * costs.cached


def _costs(trial: _Trial, number: int) -> Costs:
    seconds, few = SECONDS / len(trial.plan.phases), min(FEW, trial.batch)
    small, first = _steps(trial, number, few, steps=1, epochs=2)
    if small < seconds / 2 / EPOCHS:
        small, first = _steps(trial, number, few, steps=1, epochs=EPOCHS)
    # As large a step as two of them, of which the first is not timed, come near the seconds.
    batch = min(trial.batch, max(2 * few, int(0.6 * seconds / (small / few))))
    step = small * batch / few
    filling = batch * first.cache_seconds / few
    steps = max(1, min(STEPS, int(seconds / 2 / step), int(seconds / filling) if filling else STEPS))
    large, result = _steps(
        trial, number, batch, steps=steps, epochs=1 + max(1, min(EPOCHS, int(seconds / step / steps)))
    )
    image = (large - small) / (batch - few) if batch > few else 0.0
    if not 0 < image * batch <= large:
        image = large / batch
    rows, val = batch * steps, min(batch, trial.sizes.val)
    validating = result.seconds - result.cache_seconds - sum(result.epoch_seconds)
    cached = result.cache_seconds / (val + (0 if varies(trial.recipe) else rows) or 1)
    return Costs(large - image * batch, image, cached, validating / len(result.history) / val if val else 0.0)


def _steps(trial: _Trial, number: int, batch: int, *, steps: int, epochs: int) -> tuple[float, TrainResult]:
    """Run some epochs of a phase; return the seconds of a step, without the first epoch's, and the loop's result."""
    rows, val, side = batch * steps, min(batch, trial.sizes.val), trial.recipe.data.image_size
    array = np.random.default_rng(0).integers(0, 256, (rows + val, 3, side, side), dtype=np.uint8)
    everything = torch.arange(rows + val)
    transform = train_transform(trial.recipe)
    data = trial.recipe.data
    images = Images(array, everything, mean=data.mean, std=data.std, device=trial.device, transform=transform)
    examples = Examples(images, everything % trial.classes, everything[:rows], everything[rows:])
    # As much of the room for the cache as of the images, so that it holds them if it would hold all.
    room = ceil(trial.settings.feature_cache_mb * (rows + val) / sum(trial.sizes))
    budget = Budget(unit="epochs", amount=epochs)
    settings = replace(trial.settings, batch_size=batch, budget=budget, feature_cache_mb=room)
    # At a rate of 0, since values might run off on noise.
    phase = replace(trial.plan.phases[number], amount=epochs, lr=0.0, continues=False)
    # The whole budget is foretold, though a training may stop early.
    plan = replace(trial.plan, phases=(phase,), early_stop=0)
    result = loop.fit(trial.network, examples, settings, seed=0, plan=plan, name=None)
    return median(result.epoch_seconds[1:]) / steps, result


def in_words(seconds: float) -> str:
    """Return a duration to two digits.

    >>> in_words(7.4), in_words(130), in_words(3000), in_words(40_000), in_words(1e6)
    ('7 s', '2.2 min', '50 min', '11 h', '12 days')
    """
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.2g} min"
    return f"{seconds / 3600:.2g} h" if seconds < 99.5 * 3600 else f"{seconds / 86400:,.0f} days"


def sentence(seconds: float, repeats: int) -> str:
    """Return the time of a repeat, and of all."""
    each = f"training takes about {in_words(seconds)} a repeat"
    return f"{each}, {in_words(seconds * repeats)} in all" if repeats > 1 else each
