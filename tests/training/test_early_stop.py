"""Early stop takes the best epoch's weights on the validation part."""

import pytest
import torch
from small import Small, examples, settings, weights

from pipeline.training import contract, loop
from pipeline.training import loop as training_loop
from pipeline.training.early_stop import BestEpoch
from pipeline.training.outcome import Outcome

LOSSES = [3.0, 2.0, 2.0, 2.5, 1.0, 0.5]


def stopped(
    patience: int, monkeypatch: pytest.MonkeyPatch, *, phases: int = 1, **changes: float
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return the weights after each epoch and those that are left, with validation losses that are given."""
    network, after = Small(), []
    epochs = iter(LOSSES)
    after_epoch = Outcome.after_epoch

    def noting(self: Outcome, row: contract.Row) -> None:
        after.append(weights(self.network))  # type: ignore[arg-type]
        after_epoch(self, row)

    monkeypatch.setattr(Outcome, "after_epoch", noting)
    monkeypatch.setattr(training_loop, "validate", lambda *_, **__: {"val_loss": next(epochs), "val_accuracy": 0.5})
    each = tuple(contract.PhasePlan(len(LOSSES) // phases, 0.05) for _ in range(phases))
    plan = contract.TrainingPlan(each, early_stop=patience, **changes)  # type: ignore[arg-type]
    result = loop.fit(network, examples(), settings(), seed=1, plan=plan)
    assert len(result.history) == len(after)
    return after, weights(network)


@pytest.mark.parametrize(("patience", "epochs", "best"), [(1, 3, 2), (2, 4, 2), (3, 6, 6)])
@pytest.mark.parametrize("decay", [0.0, 0.8], ids=["plain", "averaged"])
def test_it_ends_after_so_many_epochs_without_a_lower_loss_and_leaves_the_best(
    patience: int, epochs: int, best: int, decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    after, left = stopped(patience, monkeypatch, weight_ema=decay)
    assert len(after) == epochs
    assert torch.equal(left, after[best - 1])


def test_it_counts_in_the_last_phase_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    after, left = stopped(1, monkeypatch, phases=2)
    # Losses 2.5, 1.0, 0.5 in the second: none of them ends it.
    assert len(after) == 6
    assert torch.equal(left, after[-1])


def test_the_first_of_equal_losses_is_the_best_and_one_that_is_no_number_is_not() -> None:
    best = BestEpoch(2)
    for loss, value in ((1.0, 1.0), (1.0, 2.0), (float("nan"), 3.0)):
        assert not best.ends
        best.see({"val_loss": loss}, {"w": torch.tensor(value)})
    assert best.ends
    assert best.weights["w"] == 1.0
    best = BestEpoch(2)
    for loss, value in ((float("nan"), 1.0), (2.0, 2.0), (3.0, 3.0)):
        best.see({"val_loss": loss}, {"w": torch.tensor(value)})
    assert best.weights["w"] == 2.0
