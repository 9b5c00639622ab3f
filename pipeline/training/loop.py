"""The training loop: one network, one packed array, one budget in one or more phases.

Needs torch, numpy, tqdm and the standard library alone, so that it also runs where nothing else is installed. In shapes
N is the batch, K the number of classes.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from pipeline.core import seeding
from pipeline.core.precision import autocast
from pipeline.training import optim, sampling
from pipeline.training.contract import (
    Examples,
    LossTerm,
    NotFiniteError,
    PhasePlan,
    Row,
    Settings,
    Trainable,
    TrainingPlan,
    TrainResult,
)
from pipeline.training.features import FeatureCache, Features
from pipeline.training.predict import validate
from pipeline.training.progress import TRAINING, print_epoch, progress_bar


@dataclass
class _Run:
    """The state of one call of `fit`."""

    network: Trainable
    examples: Examples
    settings: Settings
    plan: TrainingPlan
    seed: int
    progress: "tqdm[Any]"
    on_epoch: Callable[[Row], object]
    result: TrainResult
    name: str


class _PhaseState(NamedTuple):
    """The objects that a phase builds when it begins."""

    features: Features
    loss_term: LossTerm | None
    reference: FeatureCache | None
    optimizer: Optimizer
    schedule: LRScheduler
    class_weights: Tensor | None


def fit(
    network: Trainable,
    examples: Examples,
    settings: Settings,
    *,
    seed: int,
    plan: TrainingPlan | None = None,
    on_epoch: Callable[[Row], object] = lambda _row: None,
    name: str = TRAINING,
) -> TrainResult:
    """Train for the whole budget; the last iterate is the result.

    Args:
        network: on the device of the images; changed in place.
        examples: the training and validation rows.
        settings: a recipe's `train` section.
        seed: of the order of images, the augmentation and dropout.
        plan: phases, rates by group, sampling; by default one phase in which every image counts the same.
        on_epoch: called with each epoch's row of the history.
        name: for the progress bar, and at the start of each epoch's line unless it is `train`.

    Raises:
        NotFiniteError: at the end of the epoch in which the loss first was not finite.
    """
    started = time.perf_counter()
    torch.manual_seed(seeding.derive("dropout", seed))
    plan = plan or TrainingPlan()
    phases = plan.phases or (PhasePlan(settings.budget.amount, settings.lr),)
    steps = [_steps(examples, settings, phase.amount) for phase in phases]
    result = TrainResult()
    with progress_bar(sum(steps), name) as progress:
        run = _Run(network, examples, settings, plan, seed, progress, on_epoch, result, name)
        for number, phase in enumerate(phases):
            _fit_phase(run, phase, *_share(phases, steps, number))
    result.seconds = time.perf_counter() - started
    return result


def _steps(examples: Examples, settings: Settings, amount: int) -> int:
    images, unit = len(examples.train), settings.budget.unit
    return optim.total_steps(unit=unit, amount=amount, images=images, batch_size=settings.batch_size)


def _share(phases: Sequence[PhasePlan], steps: Sequence[int], number: int) -> tuple[list[int], int]:
    """Return the steps of all phases that have one schedule with this phase, and its index among them."""
    first = next(n for n in range(number, -1, -1) if n == 0 or not phases[n].continues)
    end = next((n for n in range(number + 1, len(phases)) if not phases[n].continues), len(phases))
    return list(steps[first:end]), number - first


def _fit_phase(run: _Run, phase: PhasePlan, parts: list[int], number: int) -> None:
    """Train whole epochs until the phase's steps are used up; epochs are counted through all phases."""
    steps, batch_size = parts[number], run.settings.batch_size
    phase.start()
    # A local: the cache of one phase is freed before the next fills its own.
    state = _begin(run, phase, parts, done=sum(parts[:number]))
    while steps > 0:
        epoch = len(run.result.history) + 1
        # The last epoch of a budget in iterations stops early.
        rows = sampling.order(run.examples, run.plan, seed=run.seed, epoch=epoch)[: steps * batch_size]
        batches = list(rows.split(batch_size))
        steps -= len(batches)
        _fit_epoch(run, state, rows, batches, epoch=epoch)


def _begin(run: _Run, phase: PhasePlan, parts: Sequence[int], *, done: int) -> _PhaseState:
    loss_term = phase.loss_term()
    groups = dict(run.network.groups())
    if loss_term:
        groups[optim.REGULARIZER] = list(loss_term.parameters())
    # A new optimizer even where the schedule goes on: its running means are of the phase before.
    optimizer = optim.make_optimizer(groups, run.settings, lr=phase.lr, factors=run.plan.lr_factors)
    schedule = optim.make_schedule(optimizer, run.settings, parts, done=done)
    features = _features(run)
    reference = _reference(run, loss_term, features) if loss_term else None
    run.result.cache_seconds += features.seconds + (reference.seconds if reference else 0.0)
    weights = sampling.class_weights(run.examples, run.plan)
    return _PhaseState(features, loss_term, reference, optimizer, schedule, weights)


def _features(run: _Run) -> Features:
    """Return the frozen prefix's features, cached for rows that are the same in every epoch."""
    examples, settings = run.examples, run.settings
    repeated = [examples.val] if examples.images.varies else [examples.train, examples.val]
    limit, size = settings.feature_cache_mb, settings.batch_size
    run.network.eval()
    with autocast(settings.precision, examples.images.device.type):
        return Features(run.network, examples.images, torch.cat(repeated), limit_mb=limit, batch_size=size)


def _reference(run: _Run, loss_term: LossTerm, features: Features) -> FeatureCache:
    """Return the reference's tensors of rows that are the same in every epoch, cached in the room that features leave.

    Rows that are augmented are left out: their tensors differ from epoch to epoch.
    """
    examples, settings = run.examples, run.settings
    free = min(settings.feature_cache_mb * 2**20 - features.bytes, examples.images.free_memory() // 2)
    with autocast(settings.precision, examples.images.device.type):
        return FeatureCache(
            lambda rows: loss_term.reference(features(rows), start=features.prefix),
            examples.train[:0] if examples.images.varies else examples.train,
            limit=max(0, free),
            batch_size=settings.batch_size,
        )


def _fit_epoch(run: _Run, state: _PhaseState, rows: Tensor, batches: list[Tensor], *, epoch: int) -> None:
    """Train on the batches of these rows, validate, and append the epoch's row to the history."""
    result, lr = run.result, optim.rate(state.optimizer, run.plan.lr_factors)
    done = result.history[-1]["iteration"] if result.history else 0
    started = time.perf_counter()
    random_parameters = run.examples.images.random_parameters(rows, seed=run.seed, epoch=epoch)
    sums, correct = _train(run, state, batches, random_parameters)
    row = {"epoch": float(epoch), "iteration": done + len(batches), "lr": lr}
    row |= _training_scores(sums, correct, batches, epoch)
    result.epoch_seconds.append(time.perf_counter() - started)
    result.images_trained += len(rows)
    row |= state.loss_term.diagnosis() if state.loss_term else {}
    row |= validate(run.network, state.features, run.examples, run.settings)
    result.history.append(row)
    run.on_epoch(row)
    print_epoch(row, run.progress, run.name)


def _train(
    run: _Run, state: _PhaseState, batches: list[Tensor], random_parameters: Tensor | None
) -> tuple[dict[str, list[Tensor]], list[Tensor]]:
    """Train one epoch; return each batch's sums of the terms by name and its correct predictions, on the device."""
    sums: dict[str, list[Tensor]] = {}
    correct = []
    device = run.examples.images.device
    run.network.train()
    for rows, parameters in zip(batches, _per_batch(random_parameters, batches), strict=True):
        labels = run.examples.labels[rows].to(device)  # (N,)
        with autocast(run.settings.precision, device.type):
            logits, added = _forward(run, state, rows, parameters)  # (N, K)
            terms = {"loss": _loss(logits.float(), labels, state.class_weights), **added}
        state.optimizer.zero_grad(set_to_none=True)
        reduce(add, terms.values()).backward()
        state.optimizer.step()
        state.schedule.step()
        # Left on the device: reading a value would wait for it in every step.
        for name, term in terms.items():
            sums.setdefault(f"train_{name}", []).append(term.detach() * len(rows))
        correct.append((logits.detach().argmax(1) == labels).sum())
        run.progress.update()
    return sums, correct


def _per_batch(random_parameters: Tensor | None, batches: list[Tensor]) -> Iterable[Tensor | None]:
    sizes = [len(rows) for rows in batches]
    return [None] * len(sizes) if random_parameters is None else random_parameters.split(sizes)


def _forward(
    run: _Run, state: _PhaseState, rows: Tensor, parameters: Tensor | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return class scores (N, K), and the further terms of the loss by name."""
    prefix, loss_term = state.features.prefix, state.loss_term
    x = state.features(rows, parameters)  # the input of the first step that trains
    if loss_term is None or state.reference is None:
        return run.network.run(x, start=prefix), {}
    # The cache holds images as they are packed, never an augmented one.
    cached = state.reference.cached and parameters is None
    reference = state.reference(rows) if cached else loss_term.reference(x, start=prefix)
    return loss_term.run(x, reference, start=prefix)


def _loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean over the batch; torch's own weighted mean would divide by the batch's weights, and undo them."""
    if weights is None:
        return F.cross_entropy(logits, labels)
    return F.cross_entropy(logits, labels, weight=weights, reduction="none").mean()


def _training_scores(sums: Mapping[str, list[Tensor]], correct: list[Tensor], batches: list[Tensor], epoch: int) -> Row:
    """Return one epoch's means; the only place where the loop waits for the device."""
    totals = {name: torch.stack(parts).cpu().double() for name, parts in sums.items()}
    broken = (~torch.stack(list(totals.values())).isfinite().all(0)).nonzero().flatten().tolist()
    if broken:
        raise NotFiniteError(epoch, broken[0] + 1, batches[broken[0]].tolist())
    images = sum(map(len, batches))
    means = {name: parts.sum().item() / images for name, parts in totals.items()}
    row = {"train_loss": means.pop("train_loss"), "train_accuracy": torch.stack(correct).sum().item() / images}
    return row | means
