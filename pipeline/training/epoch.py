"""An epoch that goes on: its batches, and what each step has left."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pipeline.training.contract import NotFiniteError, Row


@dataclass
class Epoch:
    """An epoch that goes on.

    Attributes:
        number: counted from 1 through all phases.
        steps_left: of its phase, when it began.
        batches: rows of each step.
        lr: the rate before its first step.
        sums: of each step done, on the device, by name of the term.
        correct: number of right predictions of each step done, on the device.
        diagnosis: of the loss term after the last step, scalars on the device.
        seconds: that its steps have taken.
    """

    number: int
    steps_left: int
    batches: list[Tensor]
    lr: float
    sums: dict[str, list[Tensor]] = field(default_factory=dict)
    correct: list[Tensor] = field(default_factory=list)
    diagnosis: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Number of steps done."""
        return len(self.correct)

    @property
    def ended(self) -> bool:
        """Whether no step is left."""
        return self.done == len(self.batches)

    @property
    def images(self) -> int:
        """Number of images in all steps."""
        return sum(map(len, self.batches))

    def where(self) -> str:
        """Return in words how far it is."""
        return f"in epoch {self.number}, after step {self.done} of {len(self.batches)}"

    def add(self, terms: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> None:
        """Add what a step has left; reading a value here would wait for the device in every step.

        Args:
            terms: scalars of the loss by name.
            logits: (N, K).
            labels: (N,).
        """
        for name, term in terms.items():
            self.sums.setdefault(f"train_{name}", []).append(term.detach() * len(labels))
        self.correct.append((logits.detach().argmax(1) == labels).sum())

    def scores(self) -> Row:
        """Return the epoch's means, and its diagnostics; the only place where the loop waits for the device.

        Raises:
            NotFiniteError: for the first step whose loss is not finite.
        """
        totals = {name: torch.stack(parts).cpu().double() for name, parts in self.sums.items()}
        broken = (~torch.stack(list(totals.values())).isfinite().all(0)).nonzero().flatten().tolist()
        if broken:
            raise NotFiniteError(self.number, broken[0] + 1, self.batches[broken[0]].tolist())
        means = {name: parts.sum().item() / self.images for name, parts in totals.items()}
        accuracy = torch.stack(self.correct).sum().item() / self.images
        diagnosis = torch.stack(list(self.diagnosis.values())).tolist() if self.diagnosis else []
        row = {"train_loss": means.pop("train_loss"), "train_accuracy": accuracy, **means}
        return row | dict(zip(self.diagnosis, diagnosis, strict=True))

    def state(self) -> dict[str, Any]:
        """Return what `take_up` of a new epoch takes; what each step left is one tensor (steps,) each."""
        return {
            "number": self.number,
            "steps_left": self.steps_left,
            "lr": self.lr,
            "sums": {name: torch.stack(values) for name, values in self.sums.items()},
            "correct": torch.stack(self.correct),
            "diagnosis": self.diagnosis,
            "seconds": self.seconds,
        }

    def take_up(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Go on from the state of the same epoch."""
        self.sums = {name: list(values.to(device)) for name, values in saved["sums"].items()}
        self.correct = list(saved["correct"].to(device))
        self.diagnosis = {name: value.to(device) for name, value in saved["diagnosis"].items()}
        self.lr, self.seconds = saved["lr"], saved["seconds"]
