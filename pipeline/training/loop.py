"""The training loop: one network, one packed array, one budget in one or more phases.

Needs torch, numpy, tqdm and the standard library alone, so that it also runs where nothing else is installed.
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
from pipeline.training.predict import autocast, validate
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
    outcome: TrainResult
    name: str


class _Tools(NamedTuple):
    """The objects that a phase trains with."""

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
    outcome = TrainResult()
    with progress_bar(sum(steps), name) as progress:
        run = _Run(network, examples, settings, plan, seed, progress, on_epoch, outcome, name)
        for number, phase in enumerate(phases):
            _fit_phase(run, phase, *_share(phases, steps, number))
    outcome.seconds = time.perf_counter() - started
    return outcome


def _share(phases: Sequence[PhasePlan], steps: Sequence[int], number: int) -> tuple[list[int], int]:
    """Return the steps of all phases with the same schedule as this one, and which of them this one is."""
    first = next(n for n in range(number, -1, -1) if n == 0 or not phases[n].continues)
    end = next((n for n in range(number + 1, len(phases)) if not phases[n].continues), len(phases))
    return list(steps[first:end]), number - first


def _fit_phase(run: _Run, phase: PhasePlan, parts: list[int], number: int) -> None:
    """Train whole epochs until the phase's steps are used up; epochs are counted through all phases.

    Cached features, loss term and optimizer are local, so that those of one phase are gone when the next begins.
    """
    examples, outcome, steps = run.examples, run.outcome, parts[number]
    phase.start()
    tools = _tools(run, phase, parts, done=sum(parts[:number]))
    while steps > 0:
        epoch = len(outcome.history) + 1
        rows = sampling.order(examples, run.plan, seed=run.seed, epoch=epoch)[: steps * run.settings.batch_size]
        batches = list(rows.split(run.settings.batch_size))
        steps -= len(batches)
        done = outcome.history[-1]["iteration"] if outcome.history else 0
        row = {
            "epoch": float(epoch),
            "iteration": done + len(batches),
            "lr": optim.rate(tools.optimizer, run.plan.lr_factors),
        }
        started = time.perf_counter()
        sums, correct = _train(run, tools, batches, examples.images.random_parameters(rows, seed=run.seed, epoch=epoch))
        row |= _training_scores(sums, correct, batches, epoch)
        outcome.epoch_seconds.append(time.perf_counter() - started)
        outcome.images_trained += sum(map(len, batches))
        row |= tools.loss_term.diagnosis() if tools.loss_term else {}
        row |= validate(run.network, tools.features, run.examples, run.settings)
        outcome.history.append(row)
        run.on_epoch(row)
        print_epoch(row, run.progress, run.name)


def _tools(run: _Run, phase: PhasePlan, parts: Sequence[int], *, done: int) -> _Tools:
    loss_term = phase.loss_term()
    groups = dict(run.network.groups())
    if loss_term:
        groups[optim.REGULARIZER] = list(loss_term.parameters())
    optimizer = optim.make_optimizer(groups, run.settings, lr=phase.lr, factors=run.plan.lr_factors)
    schedule = optim.make_schedule(optimizer, run.settings, parts, done=done)
    features = _features(run)
    reference = _reference(run, loss_term, features) if loss_term else None
    return _Tools(features, loss_term, reference, optimizer, schedule, sampling.class_weights(run.examples, run.plan))


def _train(
    run: _Run, tools: _Tools, batches: list[Tensor], random_parameters: Tensor | None
) -> tuple[dict[str, list[Tensor]], list[Tensor]]:
    """Train one epoch; return each batch's sums of the terms by name, and its right answers, left on the device."""
    sums: dict[str, list[Tensor]] = {}
    correct = []
    device = run.examples.images.device
    run.network.train()
    for rows, varied in zip(batches, _per_batch(random_parameters, batches), strict=True):
        labels = run.examples.labels[rows].to(device)
        with autocast(run.settings, device):
            logits, added = _forward(run, tools, rows, varied)
            terms = {"loss": _loss(logits.float(), labels, tools.class_weights), **added}
        tools.optimizer.zero_grad(set_to_none=True)
        reduce(add, terms.values()).backward()
        tools.optimizer.step()
        tools.schedule.step()
        for name, term in terms.items():
            sums.setdefault(f"train_{name}", []).append(term.detach() * len(rows))
        correct.append((logits.detach().argmax(1) == labels).sum())
        run.progress.update()
    return sums, correct


def _forward(run: _Run, tools: _Tools, rows: Tensor, varied: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
    """Return class scores (N, K), and the further terms of the loss."""
    prefix, loss_term = tools.features.prefix, tools.loss_term
    x = tools.features(rows, varied)
    if loss_term is None or tools.reference is None:
        return run.network.run(x, start=prefix), {}
    cached = tools.reference.cached and varied is None
    return loss_term.run(x, tools.reference(rows) if cached else loss_term.reference(x, start=prefix), start=prefix)


def _per_batch(random_parameters: Tensor | None, batches: list[Tensor]) -> Iterable[Tensor | None]:
    return (
        [None] * len(batches) if random_parameters is None else random_parameters.split([len(rows) for rows in batches])
    )


def _loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean over the batch; torch's own weighted mean would divide by the batch's weights, and undo them."""
    if weights is None:
        return F.cross_entropy(logits, labels)
    return F.cross_entropy(logits, labels, weight=weights, reduction="none").mean()


def _features(run: _Run) -> Features:
    """Return the frozen prefix's features, cached for rows that are the same in every epoch."""
    network, examples, settings = run.network, run.examples, run.settings
    repeated = [examples.val] if examples.images.varies else [examples.train, examples.val]
    network.eval()
    started = time.perf_counter()
    with autocast(settings, examples.images.device):
        features = Features(
            network,
            examples.images,
            torch.cat(repeated),
            limit_mb=settings.feature_cache_mb,
            batch_size=settings.batch_size,
        )
    if features.cached:
        run.outcome.cache_seconds += time.perf_counter() - started
    return features


def _reference(run: _Run, loss_term: LossTerm, features: Features) -> FeatureCache:
    """Cache the reference's tensors of rows that are the same in every epoch, in the memory that features leave."""
    examples, settings = run.examples, run.settings
    free = min(settings.feature_cache_mb * 2**20 - features.bytes, examples.images.free_memory() // 2)
    repeated = examples.train[:0] if examples.images.varies else examples.train
    started = time.perf_counter()
    with autocast(settings, examples.images.device):
        cache = FeatureCache(
            lambda rows: loss_term.reference(features(rows), start=features.prefix),
            repeated,
            limit=max(0, free),
            batch_size=settings.batch_size,
        )
    if cache.cached:
        run.outcome.cache_seconds += time.perf_counter() - started
    return cache


def _steps(examples: Examples, settings: Settings, amount: int) -> int:
    images, unit = len(examples.train), settings.budget.unit
    return optim.total_steps(unit=unit, amount=amount, images=images, batch_size=settings.batch_size)


def _training_scores(sums: Mapping[str, list[Tensor]], correct: list[Tensor], batches: list[Tensor], epoch: int) -> Row:
    """Return one epoch's means; the only place where the loop waits for the device."""
    totals = {name: torch.stack(parts).cpu().double() for name, parts in sums.items()}
    wrong = (~torch.stack(list(totals.values())).isfinite().all(0)).nonzero().flatten().tolist()
    if wrong:
        raise NotFiniteError(epoch, wrong[0] + 1, batches[wrong[0]].tolist())
    images = sum(map(len, batches))
    means = {name: parts.sum().item() / images for name, parts in totals.items()}
    row = {"train_loss": means.pop("train_loss"), "train_accuracy": torch.stack(correct).sum().item() / images}
    return row | means
