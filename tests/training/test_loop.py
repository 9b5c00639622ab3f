"""The loop on a network small enough to compute by hand."""

import math
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small import CPU, MEAN, STD, Small, examples, settings, weights

from pipeline.core.precision import set_float32
from pipeline.training import caches as training_caches
from pipeline.training import contract, loop, losses, sampling
from pipeline.training.features import Features
from pipeline.training.images import Images


def test_the_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    trained = []
    for seed in (1, 1, 2):
        network = Small()
        loop.fit(network, examples(), settings(), seed=seed)
        trained.append(weights(network))
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])


@pytest.mark.parametrize("varied", [{}, {"augmentation": "flip"}, {"crop_size": 12}], ids=["still", "flip", "crop"])
def test_cached_features_give_the_same_network_as_computing_them_each_epoch(varied: dict[str, Any]) -> None:
    """With augmentation or a random crop, features of the validation part alone are cached."""
    trained = []
    for megabytes in (64, 0):
        network = Small(frozen=True)
        data = examples(**varied)
        result = loop.fit(network, data, settings(feature_cache_mb=megabytes), seed=1)
        assert (result.cache_seconds > 0) == bool(megabytes)
        trained.append(weights(network))
    torch.testing.assert_close(trained[0], trained[1], rtol=0, atol=1e-6)


def test_cached_features_run_the_frozen_part_once_for_each_image() -> None:
    calls = {}
    for megabytes in (64, 0):
        network = Small(frozen=True)
        loop.fit(network, examples(count=16, val=0), settings(feature_cache_mb=megabytes), seed=1)
        calls[megabytes] = network.calls
    assert calls == {64: 1 + 2, 0: 3 * 2}


def test_nothing_is_cached_with_augmentation_or_a_random_crop_or_without_room() -> None:
    network = Small(frozen=True)
    for varied in (examples(val=0, augmentation="flip"), examples(val=0, crop_size=12)):
        assert loop.fit(network, varied, settings(), seed=1).cache_seconds == 0
    rows = torch.arange(26)
    large = Images(np.zeros((26, 3, 256, 256), np.uint8), rows, mean=MEAN, std=STD, device=CPU)
    cached = [Features(network, large, rows, limit_mb=megabytes, batch_size=8).cached for megabytes in (1, 8)]
    assert cached == [False, True]


def test_frozen_values_and_their_statistics_do_not_move_and_all_others_do() -> None:
    network = Small(frozen=True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    loop.fit(network, examples(), settings(), seed=1)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if not name.startswith("parts.0")}


def test_one_step_is_the_gradient_step_written_by_hand() -> None:
    network, by_hand = Small(), Small()
    for model in (network, by_hand):
        model.parts[2][0].p = 0.0
    data = examples(count=8, val=0)
    loop.fit(network, data, settings(budget=SimpleNamespace(unit="iterations", amount=1)), seed=1)
    by_hand.train()
    pixels = torch.stack([data.images.batch(torch.tensor([row]))[0] for row in range(8)])
    F.cross_entropy(by_hand.run(pixels), data.labels).backward()
    with torch.no_grad():
        for parameter in by_hand.parameters():
            assert parameter.grad is not None
            parameter -= 0.05 * parameter.grad
    for name, value in network.named_parameters():
        torch.testing.assert_close(value, dict(by_hand.named_parameters())[name], rtol=0, atol=1e-6)


def test_the_history_counts_every_image_of_the_smaller_last_batch() -> None:
    result = loop.fit(Small(), examples(count=21), settings(), seed=1)
    assert result.images_trained == 3 * 21
    assert [row["iteration"] for row in result.history] == [3, 6, 9]
    assert all(row["train_accuracy"] * 21 == pytest.approx(round(row["train_accuracy"] * 21)) for row in result.history)
    assert list(result.history[0]) == [
        "epoch",
        "iteration",
        "lr",
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
    ]


def test_a_budget_in_iterations_stops_within_an_epoch() -> None:
    budget = SimpleNamespace(unit="iterations", amount=4)
    result = loop.fit(Small(), examples(count=21), settings(budget=budget), seed=1)
    assert [row["iteration"] for row in result.history] == [3, 4]
    assert result.images_trained == 21 + 8


def test_without_validation_rows_the_history_has_training_only() -> None:
    result = loop.fit(Small(), examples(val=0), settings(), seed=1)
    assert not any(name.startswith("val") for name in result.history[0])


def test_validation_is_in_eval_mode_after_the_epoch() -> None:
    network, data = Small(), examples()
    result = loop.fit(network, data, settings(), seed=1)
    network.eval()
    with torch.no_grad():
        scores = network.run(data.images.batch(data.val))
    expected = F.cross_entropy(scores, data.labels[data.val]).item()
    assert result.history[-1]["val_loss"] == pytest.approx(expected, abs=1e-6)


def test_validation_does_not_change_training() -> None:
    trained = []
    for val in (0, 5):
        network, data = Small(), examples(val=5)
        with_rows = contract.Examples(data.images, data.labels, data.train, data.val[:val])
        loop.fit(network, with_rows, settings(), seed=1)
        trained.append(weights(network))
    assert torch.equal(*trained)


def test_every_epoch_has_an_order_of_its_own() -> None:
    data = examples(count=20)
    orders = [sampling.order(data, contract.TrainingPlan(), seed=1, epoch=epoch).tolist() for epoch in (1, 2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))


def unbalanced() -> contract.Examples:
    """Return 80 images of class 0, 15 of class 1 and 5 of class 2, and as many again for validation."""
    data = examples(count=100, val=100)
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor([80, 15, 5])).repeat(2)
    return contract.Examples(data.images, labels, torch.arange(100), torch.arange(100, 200))


def test_weighted_sampling_shows_each_class_as_often_as_any_other() -> None:
    data = unbalanced()
    plan = contract.TrainingPlan(sampler="weighted")
    drawn = torch.cat([sampling.order(data, plan, seed=1, epoch=epoch) for epoch in range(1, 41)])
    assert len(drawn) == 40 * 100
    assert set(drawn.tolist()) == set(range(100))
    # Of 4,000 draws at one third, 4.5 standard deviations are 0.0335.
    shares = torch.bincount(data.labels[drawn]).double() / len(drawn)
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.0335)
    assert torch.equal(drawn[:100], sampling.order(data, plan, seed=1, epoch=1))


def test_balanced_weights_are_those_of_scikit_learn_over_the_training_part() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    data = unbalanced()
    labels = data.labels[data.train].numpy()
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    balanced = sampling.class_weights(data, contract.TrainingPlan(class_weights="balanced"))
    assert balanced is not None
    assert balanced.tolist() == pytest.approx(expected.tolist())
    assert sampling.class_weights(data, contract.TrainingPlan()) is None


def test_a_batch_of_one_class_counts_as_that_class_does() -> None:
    logits, labels = torch.randn(4, 3), torch.full((4,), 2)
    plain = losses.cross_entropy(logits, labels, None)
    torch.testing.assert_close(losses.cross_entropy(logits, labels, torch.tensor([1.0, 1.0, 6.5])), 6.5 * plain)


def test_one_phases_cache_is_freed_before_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    caches: list[weakref.ref[Features]] = []
    alive = []

    def recorded(*arguments: Any, **options: Any) -> Features:
        alive.append([one() is not None for one in caches])
        features = Features(*arguments, **options)
        caches.append(weakref.ref(features))
        return features

    monkeypatch.setattr(training_caches, "Features", recorded)
    network = Small()
    loop.fit(network, examples(), settings(), seed=1, plan=two_phases(network))
    assert alive == [[], [False]]


def test_class_weights_change_the_network() -> None:
    trained = []
    for name in ("none", "balanced"):
        network = Small()
        loop.fit(network, unbalanced(), settings(), seed=1, plan=contract.TrainingPlan(class_weights=name))
        trained.append(weights(network))
    assert not torch.equal(*trained)


def two_phases(network: Small) -> contract.TrainingPlan:
    """Plan one epoch with the first part frozen, then two of the whole network at a smaller rate."""
    first = contract.PhasePlan(1, 0.05, lambda: network.freeze(True))
    return contract.TrainingPlan((first, contract.PhasePlan(2, 0.005, lambda: network.freeze(False))))


def test_phases_freeze_and_set_the_rate_and_the_curves_run_through() -> None:
    network = Small()
    start = network.state_dict()["parts.0.0.weight"].clone()
    unchanged = []
    result = loop.fit(
        network,
        examples(),
        settings(),
        seed=1,
        plan=two_phases(network),
        on_epoch=lambda _row: unchanged.append(torch.equal(network.state_dict()["parts.0.0.weight"], start)),
    )
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    assert [row["iteration"] for row in result.history] == [3, 6, 9]
    assert [row["lr"] for row in result.history] == [0.05, 0.005, 0.005]
    assert unchanged == [True, False, False]


def test_each_phase_has_an_optimizer_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizers: list[torch.optim.Optimizer] = []
    plain = loop.optim.make_optimizer
    monkeypatch.setattr(
        loop.optim, "make_optimizer", lambda *a, **k: optimizers.append(plain(*a, **k)) or optimizers[-1]
    )
    network = Small()
    loop.fit(network, examples(), settings(), seed=1, plan=two_phases(network))
    assert len(optimizers) == 2
    assert optimizers[0] is not optimizers[1]
    assert sum(len(group["params"]) for group in optimizers[0].param_groups) == 4
    assert sum(len(group["params"]) for group in optimizers[1].param_groups) == 8


def test_rates_by_group_are_those_that_are_asked_for() -> None:
    plan = contract.TrainingPlan(lr_factors={"backbone": 1e-12, "head": 1.0})
    network = Small()
    before = {name: value.clone() for name, value in network.named_parameters()}
    result = loop.fit(network, examples(), settings(), seed=1, plan=plan)
    moved = {name: (value - before[name]).abs().max().item() for name, value in network.named_parameters()}
    assert max(moved[name] for name in moved if not name.startswith("parts.2")) < 1e-9
    assert min(moved[name] for name in moved if name.startswith("parts.2")) > 1e-4
    assert result.history[0]["lr"] == pytest.approx(0.05)


def test_a_loss_that_is_not_finite_names_epoch_step_and_batch() -> None:
    network = Small()
    with torch.no_grad():
        network.parts[2][1].weight.fill_(1e30)
    with pytest.raises(contract.NotFiniteError, match="the loss is not finite in epoch 1, step 2") as caught:
        loop.fit(network, examples(val=0), settings(lr=1e30), seed=1)
    rows = sampling.order(examples(val=0), contract.TrainingPlan(), seed=1, epoch=1)
    assert caught.value.rows == rows[8:16].tolist()


def test_bf16_runs_and_ends_near_fp32() -> None:
    losses = [
        loop.fit(Small(frozen=True), examples(), settings(precision=precision), seed=1).history[-1]["train_loss"]
        for precision in ("fp32", "bf16")
    ]
    assert losses[0] != losses[1]
    assert math.isclose(*losses, rel_tol=0.05)


@pytest.mark.usefixtures("float32")
def test_on_the_cpu_tf32_computes_the_very_same_as_fp32() -> None:
    ends = []
    for precision in ("fp32", "tf32"):
        set_float32(precision)
        network = Small(frozen=True)
        result = loop.fit(network, examples(), settings(precision=precision), seed=1)
        ends.append((result.history, network.state_dict()))
    (history, values), (other_history, others) = ends
    assert history == other_history
    assert all(torch.equal(value, others[name]) for name, value in values.items())


def test_one_line_an_epoch_is_printed_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    loop.fit(Small(), examples(), settings(), seed=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1", "epoch 2", "epoch 3"]
    assert "train_loss" in lines[0]
