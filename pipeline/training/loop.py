"""The training loop: one network, one packed array, one budget in one or more phases.

In shapes N is the batch, K the number of classes.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from pipeline.core import seeding
from pipeline.core.precision import autocast
from pipeline.training import batches, caches, optim, phase_shares, resuming, sampling
from pipeline.training.batches import Batch
from pipeline.training.contract import (
    Examples,
    LossTerm,
    PhasePlan,
    Row,
    Trainable,
    TrainingPlan,
    TrainResult,
)
from pipeline.training.epoch import Epoch
from pipeline.training.features import FeatureCache, Features
from pipeline.training.losses import cross_entropy
from pipeline.training.outcome import Outcome
from pipeline.training.predict import validate
from pipeline.training.progress import TRAINING, print_epoch, progress_bar
from pipeline.training.resuming import NOTHING_KEPT, Keeper, State


@dataclass
class _Run:
    """The state of one call of `fit`; `saved` is a checkpoint that is still to be taken up."""

    network: Trainable
    examples: Examples
    settings: optim.LoopSettings
    plan: TrainingPlan
    seed: int
    progress: "tqdm[Any]"
    on_epoch: Callable[[Row], object]
    result: TrainResult
    name: str | None
    keeper: Keeper
    started: float
    saved: State | None = None


class _PhaseState(NamedTuple):
    """The objects that a phase builds when it begins, and its number."""

    number: int
    features: Features
    loss_term: LossTerm | None
    reference: FeatureCache | None
    optimizer: Optimizer
    schedule: LRScheduler
    class_weights: Tensor | None
    outcome: Outcome


def fit(
    network: Trainable,
    examples: Examples,
    settings: optim.LoopSettings,
    *,
    seed: int,
    plan: TrainingPlan | None = None,
    on_epoch: Callable[[Row], object] = lambda _row: None,
    name: str | None = TRAINING,
    keeper: Keeper = NOTHING_KEPT,
) -> TrainResult:
    """Train for the whole budget, or until the plan stops; the result is the last iterate, unless the plan averages.

    Args:
        network: on the device of the images; changed in place.
        examples: the training and validation rows.
        settings: a recipe's `train` section.
        seed: of the order of images, the augmentation and dropout.
        plan: phases, rates by group, sampling; by default one phase in which every image counts the same.
        on_epoch: called with each epoch's row of the history, those before a resumption too.
        name: for the progress bar, and at the start of each epoch's line unless it is `train`; None to show neither.
        keeper: of the checkpoint to go on from, asked after each step; the result is the same, bit for bit.

    Raises:
        NotFiniteError: at the end of the epoch in which the loss first was not finite.
        StoppedError: from the keeper, after a step.
    """
    torch.manual_seed(seeding.derive("dropout", seed))
    plan = plan or TrainingPlan()
    phases = plan.phases or (PhasePlan(settings.budget.amount, settings.lr),)
    steps = [phase_shares.steps(examples, settings, phase.amount) for phase in phases]
    saved = keeper.load()
    result = resuming.result_of(saved)
    started = time.perf_counter() - result.seconds
    with progress_bar(sum(steps), name, initial=resuming.steps_done(saved)) as progress:
        run = _Run(network, examples, settings, plan, seed, progress, on_epoch, result, name, keeper, started, saved)
        for row in result.history:
            on_epoch(row)
        if saved and resuming.phase_of(saved) == len(phases):
            network.load_state_dict(saved["network"])
        for number in range(resuming.phase_of(saved), len(phases)):
            _fit_phase(run, phases, steps, number)
    result.seconds = time.perf_counter() - started
    keeper.finished(partial(resuming.finished_state, network, result, phases=len(phases)), lambda: "at its end")
    return result


def _fit_phase(run: _Run, phases: Sequence[PhasePlan], steps: Sequence[int], number: int) -> None:
    """Train whole epochs until the phase's steps are used up; epochs are counted through all phases."""
    saved, run.saved = run.saved, None
    if saved:
        # Before the phase freezes and caches what depends on them.
        run.network.load_state_dict(saved["network"])
    phases[number].start()
    if not saved:
        phases[number].prepare(run.keeper.check)
    outcome = Outcome(run.network, run.plan, is_last=number + 1 == len(phases))
    # A local: the cache of one phase is freed before the next fills its own.
    state = _begin(run, phases[number], phase_shares.share(phases, steps, number), saved, outcome, number=number)
    left = saved["epoch"]["steps_left"] if saved else steps[number]
    while left > 0 and not outcome.ends:
        epoch = _epoch(run, state, left)
        if saved:
            epoch.take_up(saved["epoch"], run.examples.images.device)
            saved = None
        left -= len(epoch.batches)
        _fit_epoch(run, state, epoch)
    outcome.finish()
    if number + 1 < len(phases):
        # The next phase may be stopped while it computes features, before it has a state of its own.
        ended = partial(_checkpoint, run, state, resuming.ENDED_PHASE)
        run.keeper.finished(ended, lambda: f"at the end of phase {number + 1}")


def _epoch(run: _Run, state: _PhaseState, steps_left: int) -> Epoch:
    number, batch_size = len(run.result.history) + 1, run.settings.batch_size
    lr = optim.rate(state.optimizer, run.plan.lr_factors)
    # The last epoch of a budget in iterations stops early.
    rows = sampling.order(run.examples, run.plan, seed=run.seed, epoch=number)[: steps_left * batch_size]
    return Epoch(number, steps_left, list(rows.split(batch_size)), lr)


def _begin(
    run: _Run, phase: PhasePlan, share: tuple[list[int], int], saved: State | None, outcome: Outcome, *, number: int
) -> _PhaseState:
    loss_term = phase.loss_term()
    if loss_term and saved:
        loss_term.load_state(saved["loss_term"])
    groups = dict((run.plan.groups or run.network.groups)())
    if loss_term:
        groups[optim.REGULARIZER] = list(loss_term.parameters())
    # A new optimizer even where the schedule goes on: its running means are of the phase before.
    optimizer = optim.make_optimizer(groups, run.settings, lr=phase.lr, factors=run.plan.lr_factors)
    parts, place = share
    schedule = optim.make_schedule(optimizer, run.settings, parts, done=sum(parts[:place]))
    run.network.eval()
    sources, varies = (run.examples, run.settings, run.keeper), batches.varies(run.examples.images, run.plan)
    features = caches.prefix_features(run.network, *sources, varies=varies)
    reference = caches.reference_maps(loss_term, features, *sources, varies=varies) if loss_term else None
    run.result.cache_seconds += features.seconds + (reference.seconds if reference else 0.0)
    weights = sampling.class_weights(run.examples, run.plan)
    if saved:
        outcome.load_state(saved["outcome"])
        resuming.restore(saved, optimizer, schedule, run.examples.images.device)
    return _PhaseState(number, features, loss_term, reference, optimizer, schedule, weights, outcome)


def _fit_epoch(run: _Run, state: _PhaseState, epoch: Epoch) -> None:
    """Train on the epoch's batches, validate, and append the epoch's row to the history."""
    done = run.result.history[-1]["iteration"] if run.result.history else 0
    started = time.perf_counter() - epoch.seconds
    _train(run, state, epoch, started)
    row = {"epoch": float(epoch.number), "iteration": done + len(epoch.batches), "lr": epoch.lr}
    row |= epoch.scores()
    seconds, on_batch = time.perf_counter() - started, partial(_offer, run, state, epoch)
    row |= validate(state.outcome.network, state.features, run.examples, run.settings, on_batch=on_batch)
    # After its last checkpoint, from which a run would count it again.
    run.result.epoch_seconds.append(seconds)
    run.result.images_trained += epoch.images
    state.outcome.after_epoch(row)
    run.result.history.append(row)
    run.on_epoch(row)
    print_epoch(row, run.progress, run.name)


def _train(run: _Run, state: _PhaseState, epoch: Epoch, started: float) -> None:
    """Train the steps of an epoch that are left."""
    parts = (state.features, run.examples, run.plan, epoch.batches)
    steps = batches.of_epoch(*parts, seed=run.seed, epoch=epoch.number)
    run.network.train()
    for batch in steps[epoch.done :]:
        labels, mix = batch.labels, batch.mix  # (N,)
        with autocast(run.settings.precision, labels.device.type):
            logits, added = _forward(run, state, batch)  # (N, K)
            smoothing = run.plan.label_smoothing
            loss = partial(cross_entropy, logits.float(), weights=state.class_weights, smoothing=smoothing)
            terms = {"loss": mix.loss(loss, labels) if mix else loss(labels), **added}
        state.optimizer.zero_grad(set_to_none=True)
        reduce(add, terms.values()).backward()
        state.optimizer.step()
        state.schedule.step()
        state.outcome.after_step()
        epoch.add(terms, logits, mix.main(labels) if mix else labels)
        run.progress.update()
        if epoch.ended and state.loss_term:
            # Of the last batch, which a checkpoint does not hold.
            epoch.diagnosis = state.loss_term.diagnosis()
        epoch.seconds = time.perf_counter() - started
        _offer(run, state, epoch)


def _forward(run: _Run, state: _PhaseState, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Return class scores (N, K), and the further terms of the loss by name."""
    prefix, loss_term = state.features.prefix, state.loss_term
    x = state.features(batch.rows, batch.parameters, batch.mix)  # the input of the first step that trains
    if loss_term is None or state.reference is None:
        return run.network.run(x, start=prefix), {}
    # The cache holds images as they are packed, never an augmented or mixed one.
    cached = state.reference.cached and not batch.varies
    reference = state.reference(batch.rows) if cached else loss_term.reference(x, start=prefix)
    return loss_term.run(x, reference, start=prefix)


def _offer(run: _Run, state: _PhaseState, epoch: Epoch) -> None:
    run.keeper.offer(lambda: _checkpoint(run, state, epoch.state()), epoch.where)


def _checkpoint(run: _Run, state: _PhaseState, epoch: State) -> State:
    """Return all that the rest of the training follows from, beside its arguments, and what it has left so far."""
    return {
        "phase": state.number,
        "network": run.network.state_dict(),
        "loss_term": state.loss_term.state() if state.loss_term else {},
        "epoch": epoch,
        "outcome": state.outcome.state(),
        **resuming.optimizer_state(state.optimizer, state.schedule, run.examples.images.device),
        **resuming.result_state(run.result, seconds=time.perf_counter() - run.started),
    }
