"""The state of a training between two steps: taken, and taken up again with the same bits."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pipeline.training.contract import Trainable, TrainResult

# Nested plain data and tensors.
State = Mapping[str, Any]
# In place of an epoch's state, where a phase has no step left.
ENDED_PHASE: State = {"steps_left": 0, "correct": ()}


class Keeper(Protocol):
    """Keeper of the state of a training, or of another long computation, outside the process."""

    def load(self) -> State | None:
        """Return the last state that was kept; None where there is none."""

    def offer(self, state: Callable[[], State], where: Callable[[], str]) -> None:
        """Keep the state, and in words how far the computation is, if it is time to.

        Raises:
            StoppedError: after keeping it, where the process has been asked to stop.
        """

    def check(self) -> None:
        """Raise where the process has been asked to stop and nothing new is to be kept.

        Raises:
            StoppedError: naming the signal.
        """

    def finished(self, state: Callable[[], State], where: Callable[[], str]) -> None:
        """Keep the state at the end of a phase, or of all, unless it was soon reached."""


class _NothingKept:
    def load(self) -> State | None:
        return None

    def offer(self, state: Callable[[], State], where: Callable[[], str]) -> None:
        pass

    def check(self) -> None:
        pass

    def finished(self, state: Callable[[], State], where: Callable[[], str]) -> None:
        pass


NOTHING_KEPT: Keeper = _NothingKept()


def result_state(result: TrainResult, *, seconds: float) -> dict[str, Any]:
    """Return the history and the timings so far."""
    return {
        "history": result.history,
        "seconds": seconds,
        "cache_seconds": result.cache_seconds,
        "epoch_seconds": result.epoch_seconds,
        "images_trained": result.images_trained,
    }


def result_of(saved: State | None) -> TrainResult:
    """Return history and timings to go on from; empty ones without a state."""
    if saved is None:
        return TrainResult()
    return TrainResult(
        history=list(saved["history"]),
        seconds=saved["seconds"],
        cache_seconds=saved["cache_seconds"],
        epoch_seconds=list(saved["epoch_seconds"]),
        images_trained=saved["images_trained"],
    )


def finished_state(network: Trainable, result: TrainResult, *, phases: int) -> dict[str, Any]:
    """Return what a training that has ended leaves."""
    return {"phase": phases, "network": network.state_dict(), **result_state(result, seconds=result.seconds)}


def phase_of(saved: State | None) -> int:
    """Return the number of the phase to begin with, counted from 0."""
    return saved["phase"] if saved else 0


def steps_done(saved: State | None) -> int:
    """Return the number of steps that are done."""
    if saved is None:
        return 0
    whole = int(saved["history"][-1]["iteration"]) if saved["history"] else 0
    return whole + (len(saved["epoch"]["correct"]) if "epoch" in saved else 0)


def optimizer_state(optimizer: Optimizer, schedule: LRScheduler, device: torch.device) -> dict[str, Any]:
    """Return the state of optimizer, schedule, and the random numbers of dropout."""
    random = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        random["mps"] = torch.mps.get_rng_state()
    # The schedule's function follows from the settings.
    rates = {name: value for name, value in schedule.state_dict().items() if name != "lr_lambdas"}
    return {"optimizer": optimizer.state_dict(), "schedule": rates, "random": random}


def restore(saved: State, optimizer: Optimizer, schedule: LRScheduler, device: torch.device) -> None:
    """Set optimizer, schedule and random numbers; after all else that a phase builds, which may draw numbers."""
    optimizer.load_state_dict(dict(saved["optimizer"]))
    schedule.load_state_dict({**schedule.state_dict(), **saved["schedule"]})
    torch.set_rng_state(saved["random"]["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(saved["random"]["cuda"], device)
    if device.type == "mps":
        torch.mps.set_rng_state(saved["random"]["mps"])
