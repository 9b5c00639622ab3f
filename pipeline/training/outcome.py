"""The weights that a phase validates and ends with: those of the last step, their average, or the best epoch's."""

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from pipeline.training.averaging import WeightAverage
from pipeline.training.contract import Row, Trainable, TrainingPlan
from pipeline.training.early_stop import BestEpoch


class Outcome:
    """The fate of a phase's weights after each step and each epoch, and at the end.

    Args:
        network: that trains, as the phase begins.
        plan: whether weights are averaged, and whether the last phase stops early.
        is_last: whether this is the last phase.
    """

    def __init__(self, network: Trainable, plan: TrainingPlan, *, is_last: bool) -> None:
        self._trained = network
        self._average = WeightAverage(cast(nn.Module, network), plan.weight_ema) if plan.weight_ema else None
        self._best = BestEpoch(plan.early_stop) if plan.early_stop and is_last else None

    @property
    def network(self) -> Trainable:
        """The network that is validated: of the averaged weights where they are averaged."""
        return cast(Trainable, self._average.network) if self._average else self._trained

    @property
    def ends(self) -> bool:
        """Whether the phase is to end before its budget does."""
        return self._best is not None and self._best.ends

    def after_step(self) -> None:
        """Average the weights that a step has left, where they are averaged."""
        if self._average:
            self._average.update(cast(nn.Module, self._trained))

    def after_epoch(self, row: Row) -> None:
        """Keep the weights if the epoch is the best so far, where the phase may stop early."""
        if self._best:
            self._best.see(row, self.network.state_dict())

    def finish(self) -> None:
        """Put the phase's weights into the network that trained."""
        if self._best and self._best.weights:
            self._trained.load_state_dict(self._best.weights)
        elif self._average:
            self._trained.load_state_dict(self.network.state_dict())

    def state(self) -> dict[str, Any]:
        """Return what `load_state` takes."""
        parts = {"average": self._average, "best": self._best}
        return {name: part.state() for name, part in parts.items() if part}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` returned."""
        if self._average:
            self._average.load_state(state["average"])
        if self._best:
            self._best.load_state(state["best"])
