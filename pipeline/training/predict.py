"""Predictions and validation scores of a network in eval mode."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.core.precision import Precision, autocast
from pipeline.training import optim
from pipeline.training.contract import Examples, Row, Trainable
from pipeline.training.features import Features
from pipeline.training.images import Images

# What is collected on a GPU before it is copied; features of ResNet-50 are as much for 8,192 images.
COLLECTED_BYTES = 2**26


class Classifier(Protocol):
    """A trained network: its steps up to the head give features, the others class scores."""

    @property
    def head_start(self) -> int: ...
    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor: ...
    def eval(self) -> Any: ...


@torch.inference_mode()
def scores_and_features(
    network: Classifier,
    images: Images,
    rows: Tensor,
    *,
    batch_size: int,
    precision: Precision,
    on_batch: Callable[[], object] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """Return class scores (n, K) and features (n, D) of these rows (n,) in eval mode, float32 on the CPU.

    Neither the order of the images nor how many there are changes a bit of an image's values: the last batch is filled
    up with its last image, so that all batches have one size, and a CPU computes the head on one thread, since several
    divide a small matrix product by its rows, and compute the rows at the edges otherwise.

    Args:
        network: the network, on the device of the images.
        images: batches with the transform of evaluation.
        rows: n >= 1 rows, on the CPU.
        batch_size: images a batch.
        precision: as in force on the device.
        on_batch: called before each batch; may raise to stop.
    """
    network.eval()
    scores, features = Collected(), Collected()
    filled = torch.cat([rows, rows[-1:].expand(-len(rows) % batch_size)])
    sizes = [len(batch) for batch in rows.split(batch_size)]
    for batch, size in zip(images.placed(filled)[0].split(batch_size), sizes, strict=True):
        on_batch()
        with autocast(precision, images.device.type):
            x = network.run(images.batch(batch), stop=network.head_start)
            with _one_thread():
                head = network.run(x, start=network.head_start)
        # Softmax and loss of bf16 scores would lose digits.
        scores.add(head.float()[:size])
        features.add(pooled(x).float()[:size])
    return scores.joined(), features.joined()


class Collected:
    """The parts of a long tensor (n, ...), copied to the CPU many at a time, since each copy waits for the device."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._bytes = 0
        self._on_cpu: list[Tensor] = []

    def add(self, part: Tensor) -> None:
        """Append some rows."""
        # A part may be a view of all that a layer computed, such as every token's values, which it would keep.
        self._parts.append(part.clone())
        self._bytes += part.nbytes
        if self._bytes >= COLLECTED_BYTES:
            self._copy()

    def joined(self) -> Tensor:
        """Return all rows, on the CPU."""
        self._copy()
        return torch.cat(self._on_cpu)

    def _copy(self) -> None:
        if self._parts:
            self._on_cpu.append(torch.cat(self._parts).cpu())
            self._parts, self._bytes = [], 0


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def pooled(x: Tensor) -> Tensor:
    """Return the features (N, D) of what a head takes: maps (N, C, H, W) are averaged over their positions."""
    return x.flatten(2).mean(2) if x.dim() > 2 else x


@torch.no_grad()
def predict(
    network: Trainable,
    features: Features,
    rows: Tensor,
    settings: optim.LoopSettings,
    *,
    device: torch.device,
    on_batch: Callable[[], object] = lambda: None,
) -> Tensor:
    """Return class scores (n, K) of these rows (n,) in eval mode, float32 on the CPU; `on_batch` may raise to stop."""
    network.eval()
    scores = []
    for batch in features.placed(rows)[0].split(settings.batch_size):
        on_batch()
        with autocast(settings.precision, device.type):
            # Softmax and loss of bf16 scores would lose digits.
            scores.append(network.run(features(batch), start=features.prefix).float())
    return torch.cat(scores).cpu()


def validate(
    network: Trainable,
    features: Features,
    examples: Examples,
    settings: optim.LoopSettings,
    *,
    on_batch: Callable[[], object] = lambda: None,
) -> Row:
    """Return loss and accuracy on the validation rows; empty if there are none. `on_batch` may raise to stop."""
    if not len(examples.val):
        return {}
    device = examples.images.device
    scores = predict(network, features, examples.val, settings, device=device, on_batch=on_batch)
    labels = examples.labels[examples.val]
    return {
        "val_loss": F.cross_entropy(scores, labels).item(),
        "val_accuracy": (scores.argmax(1) == labels).double().mean().item(),
    }
