"""Early stopping: a phase ends when its validation loss stops falling, and keeps its best epoch's weights."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

# The column of the history that decides.
JUDGED_BY = "val_loss"


class BestEpoch:
    """The epoch of a phase with the least validation loss, the first of equal ones, and its weights.

    Args:
        patience: epochs without a lower loss after which the phase ends.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._loss = math.inf
        self._epochs_since = 0
        self.weights: dict[str, Tensor] = {}

    @property
    def ends(self) -> bool:
        """Whether the phase is to end here."""
        return self._epochs_since >= self._patience

    def see(self, row: Mapping[str, float], weights: Mapping[str, Tensor]) -> None:
        """Compare an epoch with the best so far.

        Args:
            row: of the history.
            weights: those that were validated.
        """
        self._epochs_since += 1
        # One that is not a number is worse than any; nothing is less than it.
        loss = math.inf if math.isnan(row[JUDGED_BY]) else row[JUDGED_BY]
        if loss < self._loss or not self.weights:
            self._loss, self._epochs_since = loss, 0
            self.weights = {name: value.detach().clone() for name, value in weights.items()}

    def state(self) -> dict[str, Any]:
        """Return what `load_state` takes."""
        return {"loss": self._loss, "epochs_since": self._epochs_since, "weights": self.weights}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` returned."""
        self._loss, self._epochs_since = state["loss"], state["epochs_since"]
        self.weights = dict(state["weights"])
