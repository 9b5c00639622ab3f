"""The loop: one network, one packed array, one budget in one or more phases.

Needs torch, numpy and tqdm alone beside the standard library, so that it also runs where nothing else is installed.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import WeightedRandomSampler
from tqdm import tqdm

from pipeline.core import seeding
from pipeline.training import optim
from pipeline.training.features import FeatureCache, Features, Runnable
from pipeline.training.images import Images

Row = dict[str, float]
TRAINING = "train"


class Trainable(Runnable, Protocol):
    """A network that can be run in parts and trained; frozen parts stay in eval mode by themselves."""

    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def groups(self) -> Mapping[str, list[nn.Parameter]]: ...


class LossTerm(Protocol):
    """What is added to the loss, from more of the forward pass than the scores.

    A guide compares what a network that stays as it is, its source, makes of the images with what the one that trains
    does. The first steps that do not train give both the same, so that both begin behind them.
    """

    def parameters(self) -> Iterator[nn.Parameter]:
        """What it learns itself, trained along."""

    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        """What it has to know of the source, each with the batch in front, of the input of step number `start`."""

    def run(self, x: Tensor, reference: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Class scores (N, K) of the network that trains, and the scalars to add to the loss, by name."""

    def diagnosis(self) -> dict[str, float]:
        """What is worth watching of the last batch, by name; names have a slash."""


class Settings(optim.Settings, Protocol):
    """What of a recipe's `train` section the loop reads."""

    @property
    def budget(self) -> Any: ...
    @property
    def lr(self) -> float: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def precision(self) -> str: ...
    @property
    def feature_cache_mb(self) -> int: ...


@dataclass(frozen=True)
class Examples:
    """Which rows of the packed array a run trains on and which it only watches.

    Attributes:
        images: batches by row number.
        labels: class numbers (N,) of all rows.
        train: the rows to train on (n,).
        val: the rows to watch (m,), possibly none.
    """

    images: Images
    labels: Tensor
    train: Tensor
    val: Tensor


@dataclass(frozen=True)
class Phase:
    """A part of the budget with an optimizer and a schedule of its own.

    Attributes:
        amount: how long, in the budget's unit.
        lr: the first rate.
        start: called before the phase; freezes what it does not train.
        loss_term: called after that; makes what is added to the loss, or None.
        continues: whether the schedule of the phase before goes on; the optimizer is new all the same.
    """

    amount: int
    lr: float
    start: Callable[[], object] = lambda: None
    loss_term: Callable[[], LossTerm | None] = lambda: None
    continues: bool = False


@dataclass(frozen=True)
class TrainingPlan:
    """How a training goes beside its settings.

    Attributes:
        phases: in order; none is one over the whole budget at the settings' rate.
        lr_factors: by which the rate of a group of parameters differs.
        sampler: `shuffle`, every image once an epoch; `weighted`, as many draws with replacement, each class as often
            as any other.
        class_weights: `none`, or `balanced`: an image of class k counts n / (K n_k) in the loss, which is their mean.
    """

    phases: tuple[Phase, ...] = ()
    lr_factors: Mapping[str, float] = field(default_factory=dict)
    sampler: str = "shuffle"
    class_weights: str = "none"


@dataclass
class TrainResult:
    """What a run gave beside the trained network.

    Attributes:
        history: one row an epoch: epoch, iteration, lr, train_loss (the cross entropy alone), train_accuracy; then
            train_ and its name for each scalar of a guide, and what the guide has to say of the epoch's last batch;
            with rows to watch, val_loss and val_accuracy. Losses are means over images, accuracies parts of 1.
        seconds: the time that all of it took.
        cache_seconds: the time that computing kept features took; 0 where none are kept.
        epoch_seconds: each epoch's time without what is watched.
        images_trained: how many images the optimizer saw, an image once for each time.
    """

    history: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    cache_seconds: float = 0.0
    epoch_seconds: list[float] = field(default_factory=list)
    images_trained: int = 0


class NotFiniteError(Exception):
    """The loss was not a finite number.

    Attributes:
        epoch: counted from 1.
        step: within the epoch, counted from 1.
        rows: the batch's rows of the packed array.
    """

    def __init__(self, epoch: int, step: int, rows: list[int]) -> None:
        super().__init__(f"the loss is not finite in epoch {epoch}, step {step}")
        self.epoch, self.step, self.rows = epoch, step, rows


@dataclass
class _Run:
    """What one call of `fit` passes around."""

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
    """What a phase trains with."""

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
        examples: what to train on and what to watch.
        settings: a recipe's `train` section.
        seed: of the order of images, the augmentation and dropout.
        plan: phases, rates by group, sampling; by default one phase in which every image counts the same.
        on_epoch: called with each epoch's row of the history.
        name: of what goes on, for the progress bar and in front of each epoch's line where it is not a training.

    Raises:
        NotFiniteError: at the end of the epoch in which the loss first was not finite.
    """
    started = time.perf_counter()
    torch.manual_seed(seeding.derive("dropout", seed))
    plan = plan or TrainingPlan()
    phases = plan.phases or (Phase(settings.budget.amount, settings.lr),)
    steps = [_steps(examples, settings, phase.amount) for phase in phases]
    outcome = TrainResult()
    with _progress(sum(steps), name) as progress:
        run = _Run(network, examples, settings, plan, seed, progress, on_epoch, outcome, name)
        for number, phase in enumerate(phases):
            _fit_phase(run, phase, *_share(phases, steps, number))
    outcome.seconds = time.perf_counter() - started
    return outcome


def _share(phases: Sequence[Phase], steps: Sequence[int], number: int) -> tuple[list[int], int]:
    """The steps of all phases with the same schedule as this one, and which of them this one is."""
    first = next(n for n in range(number, -1, -1) if n == 0 or not phases[n].continues)
    end = next((n for n in range(number + 1, len(phases)) if not phases[n].continues), len(phases))
    return list(steps[first:end]), number - first


def _fit_phase(run: _Run, phase: Phase, parts: list[int], number: int) -> None:
    """Whole epochs until the phase's steps are used up; epochs are counted through all phases.

    Kept features, guide and optimizer are this function's, so that those of one phase are gone when the next begins.
    """
    examples, outcome, steps = run.examples, run.outcome, parts[number]
    phase.start()
    tools = _tools(run, phase, parts, done=sum(parts[:number]))
    while steps > 0:
        epoch = len(outcome.history) + 1
        rows = order(examples, run.plan, seed=run.seed, epoch=epoch)[: steps * run.settings.batch_size]
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
        row |= _validate(run, tools.features)
        outcome.history.append(row)
        run.on_epoch(row)
        _tell(row, run.progress, run.name)


def _tools(run: _Run, phase: Phase, parts: Sequence[int], *, done: int) -> _Tools:
    loss_term = phase.loss_term()
    groups = dict(run.network.groups())
    if loss_term:
        groups[optim.REGULARIZER] = list(loss_term.parameters())
    optimizer = optim.make_optimizer(groups, run.settings, lr=phase.lr, factors=run.plan.lr_factors)
    schedule = optim.make_schedule(optimizer, run.settings, parts, done=done)
    features = _features(run)
    reference = _reference(run, loss_term, features) if loss_term else None
    return _Tools(features, loss_term, reference, optimizer, schedule, class_weights(run.examples, run.plan))


def _train(
    run: _Run, tools: _Tools, batches: list[Tensor], random_parameters: Tensor | None
) -> tuple[dict[str, list[Tensor]], list[Tensor]]:
    """One epoch: by name each batch's sum of what the loss is made of, and its right answers, left on the device."""
    sums: dict[str, list[Tensor]] = {}
    correct = []
    device = run.examples.images.device
    run.network.train()
    for rows, varied in zip(batches, _per_batch(random_parameters, batches), strict=True):
        labels = run.examples.labels[rows].to(device)
        with _precision(run.settings, device):
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
    """Class scores (N, K), and what is added to the loss."""
    prefix, loss_term = tools.features.prefix, tools.loss_term
    x = tools.features(rows, varied)
    if loss_term is None or tools.reference is None:
        return run.network.run(x, start=prefix), {}
    kept = tools.reference.kept and varied is None
    return loss_term.run(x, tools.reference(rows) if kept else loss_term.reference(x, start=prefix), start=prefix)


def _per_batch(random_parameters: Tensor | None, batches: list[Tensor]) -> Iterable[Tensor | None]:
    return (
        [None] * len(batches) if random_parameters is None else random_parameters.split([len(rows) for rows in batches])
    )


def _loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over the batch; torch's own weighted mean would divide by the batch's weights, and undo them."""
    if weights is None:
        return F.cross_entropy(logits, labels)
    return F.cross_entropy(logits, labels, weight=weights, reduction="none").mean()


@torch.no_grad()
def predict(
    network: Trainable, features: Features, rows: Tensor, settings: Settings, *, device: torch.device
) -> Tensor:
    """Class scores (n, K) of these rows, float32 on the CPU, in eval mode."""
    network.eval()
    scores = []
    for batch in rows.split(settings.batch_size):
        with _precision(settings, device):
            scores.append(network.run(features(batch), start=features.prefix).float())
    return torch.cat(scores).cpu()


def _features(run: _Run) -> Features:
    """Frozen features; kept ones are for rows that look the same every epoch."""
    network, examples, settings = run.network, run.examples, run.settings
    repeated = [examples.val] if examples.images.varies else [examples.train, examples.val]
    network.eval()
    started = time.perf_counter()
    with _precision(settings, examples.images.device):
        features = Features(
            network,
            examples.images,
            torch.cat(repeated),
            limit_mb=settings.feature_cache_mb,
            batch_size=settings.batch_size,
        )
    if features.kept:
        run.outcome.cache_seconds += time.perf_counter() - started
    return features


def _reference(run: _Run, loss_term: LossTerm, features: Features) -> FeatureCache:
    """What the guide knows of the source, for rows that look the same every epoch, in the room that features leave."""
    examples, settings = run.examples, run.settings
    free = min(settings.feature_cache_mb * 2**20 - features.bytes, examples.images.free_memory() // 2)
    repeated = examples.train[:0] if examples.images.varies else examples.train
    started = time.perf_counter()
    with _precision(settings, examples.images.device):
        memory = FeatureCache(
            lambda rows: loss_term.reference(features(rows), start=features.prefix),
            repeated,
            limit=max(0, free),
            batch_size=settings.batch_size,
        )
    if memory.kept:
        run.outcome.cache_seconds += time.perf_counter() - started
    return memory


def order(examples: Examples, plan: TrainingPlan, *, seed: int, epoch: int) -> Tensor:
    """The rows (n,) that an epoch trains on, in an order of its own; epochs are counted from 1."""
    generator = torch.Generator().manual_seed(seeding.derive("order", seed, epoch - 1))
    if plan.sampler == "shuffle":
        return examples.train[torch.randperm(len(examples.train), generator=generator)]
    labels = examples.labels[examples.train]
    chances = (1.0 / torch.bincount(labels).double())[labels].tolist()
    drawn = list(WeightedRandomSampler(chances, len(labels), generator=generator))
    return examples.train[torch.tensor(drawn)]


def class_weights(examples: Examples, plan: TrainingPlan) -> Tensor | None:
    """How much an image of each class (K,) counts, from the training rows alone; 1 for a class without any."""
    if plan.class_weights == "none":
        return None
    counts = torch.bincount(examples.labels[examples.train], minlength=int(examples.labels.max()) + 1)
    weights = len(examples.train) / (len(counts) * counts.clamp(min=1).float())
    return torch.where(counts > 0, weights, 1.0).to(examples.images.device)


def _steps(examples: Examples, settings: Settings, amount: int) -> int:
    return optim.total_steps(
        unit=settings.budget.unit, amount=amount, images=len(examples.train), batch_size=settings.batch_size
    )


def _training_scores(sums: Mapping[str, list[Tensor]], correct: list[Tensor], batches: list[Tensor], epoch: int) -> Row:
    """One epoch's means; the only place where the loop waits for the device."""
    totals = {name: torch.stack(parts).cpu().double() for name, parts in sums.items()}
    wrong = (~torch.stack(list(totals.values())).isfinite().all(0)).nonzero().flatten().tolist()
    if wrong:
        raise NotFiniteError(epoch, wrong[0] + 1, batches[wrong[0]].tolist())
    images = sum(map(len, batches))
    means = {name: parts.sum().item() / images for name, parts in totals.items()}
    row = {"train_loss": means.pop("train_loss"), "train_accuracy": torch.stack(correct).sum().item() / images}
    return row | means


def _validate(run: _Run, features: Features) -> Row:
    examples = run.examples
    if not len(examples.val):
        return {}
    scores = predict(run.network, features, examples.val, run.settings, device=examples.images.device)
    labels = examples.labels[examples.val]
    return {
        "val_loss": F.cross_entropy(scores, labels).item(),
        "val_accuracy": (scores.argmax(1) == labels).double().mean().item(),
    }


def _precision(settings: Settings, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    if settings.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _progress(steps: int, name: str) -> "tqdm[Any]":
    """Rate and time left on a terminal, nothing elsewhere."""
    return tqdm(total=steps, unit="step", desc=name, disable=None)


def _tell(row: Row, progress: "tqdm[Any]", name: str) -> None:
    left_out = ("epoch", "iteration")
    told = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name not in left_out and "/" not in name)
    if not progress.disable:
        progress.set_postfix_str(told)
    else:
        print(f"{'' if name == TRAINING else f'{name}: '}epoch {row['epoch']:.0f}: {told}", flush=True, file=sys.stdout)
