"""The average of the weights beside a loop, and what it is for."""

import copy
from typing import Any

import pytest
import torch
from small import Small, examples, settings
from torch import Tensor, nn

from pipeline.training import contract, loop
from pipeline.training.averaging import WeightAverage
from pipeline.training.outcome import Outcome
from pipeline.training.predict import validate


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def steps(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """Note the weights after each step."""
    noted: list[dict[str, Tensor]] = []
    after_step = Outcome.after_step

    def noting(self: Outcome) -> None:
        noted.append(state(self._trained))  # type: ignore[arg-type]
        after_step(self)

    monkeypatch.setattr(Outcome, "after_step", noting)
    return noted


def averaged(noted: list[dict[str, Tensor]], decay: float) -> dict[str, Tensor]:
    average = noted[0]
    for one in noted[1:]:
        average = {
            name: decay * average[name] + (1 - decay) * value if value.is_floating_point() else value
            for name, value in one.items()
        }
    return average


def test_the_network_that_is_left_has_the_average_of_the_weights_and_of_batch_norms_statistics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted, network, data = steps(monkeypatch), Small(), examples()
    plan = contract.TrainingPlan((contract.PhasePlan(3, 0.05),), weight_ema=0.6)
    result = loop.fit(network, data, settings(), seed=1, plan=plan)
    assert len(noted) == 9
    left = state(network)
    for name, expected in averaged(noted, 0.6).items():
        torch.testing.assert_close(left[name], expected)
    assert not torch.equal(left["parts.0.1.running_var"], noted[-1]["parts.0.1.running_var"])
    assert left["parts.0.1.num_batches_tracked"] == 9
    # What is validated is what is left.
    features = loop.Features(network.eval(), data.images, data.val, limit_mb=0, batch_size=8)
    again = validate(network, features, data, settings())
    assert again["val_loss"] == pytest.approx(result.history[-1]["val_loss"], abs=1e-6)


def test_each_phase_ends_with_an_average_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    noted, network = steps(monkeypatch), Small()
    phases = (contract.PhasePlan(1, 0.05), contract.PhasePlan(1, 0.05))
    starts: list[dict[str, Tensor]] = []
    second = contract.PhasePlan(1, 0.05, start=lambda: starts.append(state(network)))
    plan = contract.TrainingPlan((phases[0], second), weight_ema=0.6)
    loop.fit(network, examples(), settings(), seed=1, plan=plan)
    for begin, left in ((0, starts[0]), (3, state(network))):
        for name, expected in averaged(noted[begin : begin + 3], 0.6).items():
            torch.testing.assert_close(left[name], expected)


def test_frozen_layers_stay_as_they_are_bit_by_bit() -> None:
    network = Small(frozen=True)
    before = state(network.parts[0])
    plan = contract.TrainingPlan((contract.PhasePlan(2, 0.05),), weight_ema=0.9)
    loop.fit(network, examples(), settings(), seed=1, plan=plan)
    assert all(torch.equal(value, before[name]) for name, value in network.parts[0].state_dict().items())


def test_averaging_changes_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    last: list[Any] = []
    for decay in (0.0, 0.9):
        noted = steps(monkeypatch)
        plan = contract.TrainingPlan((contract.PhasePlan(2, 0.05),), weight_ema=decay)
        loop.fit(Small(), examples(), settings(), seed=1, plan=plan)
        last.append(noted[-1])
        monkeypatch.undo()
    assert all(torch.equal(value, last[1][name]) for name, value in last[0].items())


def test_an_average_that_is_taken_up_goes_on_as_it_was() -> None:
    network = Small()
    one = WeightAverage(network, 0.9)
    one.update(network)
    with torch.no_grad():
        network.parts[2][1].weight.add_(1.0)
    kept = copy.deepcopy(one.state())
    other = WeightAverage(network, 0.9)
    other.load_state(kept)
    for average in (one, other):
        average.update(network)
    assert all(torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True))
