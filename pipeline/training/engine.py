"""The loop: one network, one packed array, one budget.

Needs torch, numpy and tqdm alone beside the standard library, so that it also runs where nothing else is installed.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from pipeline import seeding
from pipeline.training import optim
from pipeline.training.features import Features, Runnable
from pipeline.training.images import Images

Row = dict[str, float]


class Trainable(Runnable, Protocol):
    """A network that can be run in parts and trained; frozen parts stay in eval mode by themselves."""

    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...


class Settings(optim.Settings, Protocol):
    """What of a recipe's `train` section the loop reads."""

    @property
    def budget(self) -> Any: ...
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


@dataclass
class Outcome:
    """What a run gave beside the trained network.

    Attributes:
        history: one row an epoch: epoch, iteration, lr, train_loss, train_accuracy and, with rows to watch, val_loss
            and val_accuracy; losses are means over images, accuracies parts of 1.
        cache_seconds: the time that computing kept features took; 0 where none are kept.
        epoch_seconds: each epoch's time without what is watched.
        images_trained: how many images the optimizer saw, an image once for each time.
    """

    history: list[Row] = field(default_factory=list)
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


def fit(
    network: Trainable,
    examples: Examples,
    settings: Settings,
    *,
    seed: int,
    on_epoch: Callable[[Row], object] | None = None,
) -> Outcome:
    """Train for the whole budget; the last iterate is the result.

    Args:
        network: on the device of the images; changed in place.
        examples: what to train on and what to watch.
        settings: a recipe's `train` section.
        seed: of the order of images, the augmentation and dropout.
        on_epoch: called with each epoch's row of the history.

    Raises:
        NotFiniteError: at the end of the epoch in which the loss first was not finite.
    """
    torch.manual_seed(seeding.derive("dropout", seed))
    outcome = Outcome()
    features = _features(network, examples, settings, outcome)
    optimizer = optim.make_optimizer(network.parameters(), settings)
    steps = _steps(examples, settings)
    schedule = optim.make_schedule(optimizer, settings, steps)
    iteration = 0
    with _progress(steps) as progress:
        for epoch, batches in enumerate(_epochs(examples.train, settings.batch_size, steps, seed), start=1):
            iteration += len(batches)
            row = {"epoch": float(epoch), "iteration": float(iteration), "lr": optimizer.param_groups[0]["lr"]}
            started = time.perf_counter()
            draws = examples.images.draws(seed, epoch)
            losses, correct = _train(
                network, features, examples, batches, draws, settings, optimizer, schedule, progress
            )
            row |= _training_scores(losses, correct, batches, epoch)
            outcome.epoch_seconds.append(time.perf_counter() - started)
            outcome.images_trained += sum(map(len, batches))
            row |= _watched(network, features, examples, settings)
            outcome.history.append(row)
            if on_epoch is not None:
                on_epoch(row)
            _tell(row, progress)
    return outcome


def _train(
    network: Trainable,
    features: Features,
    examples: Examples,
    batches: list[Tensor],
    draws: Tensor | None,
    settings: Settings,
    optimizer: Optimizer,
    schedule: LRScheduler,
    progress: "tqdm[Any]",
) -> tuple[list[Tensor], list[Tensor]]:
    """One epoch: each batch's summed loss and count of right answers, left on the device."""
    losses, correct = [], []
    network.train()
    for rows in batches:
        labels = examples.labels[rows].to(examples.images.device)
        with _precision(settings, examples.images.device):
            logits = network.run(features(rows, draws), start=features.prefix)  # (N, K)
            loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach() * len(rows))
        correct.append((logits.detach().argmax(1) == labels).sum())
        progress.update()
    return losses, correct


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


def _features(network: Trainable, examples: Examples, settings: Settings, outcome: Outcome) -> Features:
    """Frozen features; kept ones are for rows that look the same every epoch."""
    repeated = [examples.val] if examples.images.augmentation else [examples.train, examples.val]
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
        outcome.cache_seconds = time.perf_counter() - started
    return features


def _epochs(rows: Tensor, batch_size: int, steps: int, seed: int) -> Iterator[list[Tensor]]:
    """Each epoch's batches in an order of its own, the last one smaller, until the steps are used up."""
    epoch = 0
    while steps > 0:
        generator = torch.Generator().manual_seed(seeding.derive("order", seed, epoch))
        order = rows[torch.randperm(len(rows), generator=generator)]
        batches = list(order.split(batch_size))[:steps]
        yield batches
        steps -= len(batches)
        epoch += 1


def _steps(examples: Examples, settings: Settings) -> int:
    budget = settings.budget
    return optim.total_steps(
        unit=budget.unit, amount=budget.amount, images=len(examples.train), batch_size=settings.batch_size
    )


def _training_scores(losses: list[Tensor], correct: list[Tensor], batches: list[Tensor], epoch: int) -> Row:
    """One epoch's means; the only place where the loop waits for the device."""
    totals = torch.stack(losses).cpu().double()
    wrong = (~totals.isfinite()).nonzero().flatten().tolist()
    if wrong:
        raise NotFiniteError(epoch, wrong[0] + 1, batches[wrong[0]].tolist())
    images = sum(map(len, batches))
    return {
        "train_loss": totals.sum().item() / images,
        "train_accuracy": torch.stack(correct).sum().item() / images,
    }


def _watched(network: Trainable, features: Features, examples: Examples, settings: Settings) -> Row:
    if not len(examples.val):
        return {}
    scores = predict(network, features, examples.val, settings, device=examples.images.device)
    labels = examples.labels[examples.val]
    return {
        "val_loss": F.cross_entropy(scores, labels).item(),
        "val_accuracy": (scores.argmax(1) == labels).double().mean().item(),
    }


def _precision(settings: Settings, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    if settings.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _progress(steps: int) -> "tqdm[Any]":
    """Rate and time left on a terminal, nothing elsewhere."""
    return tqdm(total=steps, unit="step", desc="train", disable=None)


def _tell(row: Row, progress: "tqdm[Any]") -> None:
    told = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name not in ("epoch", "iteration"))
    if not progress.disable:
        progress.set_postfix_str(told)
    else:
        print(f"epoch {row['epoch']:.0f}: {told}", flush=True, file=sys.stdout)
