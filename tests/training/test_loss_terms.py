"""Loss terms in the loop: their scalars, their own parameters, and the reference's cache."""

from collections.abc import Iterator, Mapping
from functools import partial
from types import SimpleNamespace

import pytest
import small
import torch
from small import Small, weights
from torch import Tensor, nn

from pipeline.training import contract, loop, optim, sampling
from pipeline.training.features import FeatureCache

settings = partial(small.settings, budget=SimpleNamespace(unit="epochs", amount=2))
examples = partial(small.examples, val=0)


class Towards:
    """Loss term that pulls class scores to scaled values of the reference; the scale is its own parameter."""

    def __init__(self, network: Small, *, alpha: float = 1.0, broken_at: int = -1) -> None:
        self.network = network
        self.scale = nn.Parameter(torch.ones(3))
        self.alpha = alpha
        self.broken_at = broken_at
        self.asked: list[int] = []
        self.starts: set[int] = set()
        self.batches = 0

    def parameters(self) -> Iterator[nn.Parameter]:
        yield self.scale

    @torch.no_grad()
    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        self.asked.append(len(x))
        self.starts.add(start)
        return {"pooled": x.flatten(2).mean(2)[:, :3]}

    def run(self, x: Tensor, reference: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        self.batches += 1
        scores = self.network.run(x, start=start)
        term = self.alpha * (scores - self.scale * reference["pooled"]).square().sum(1).mean()
        return scores, {"towards": term * (torch.inf if self.batches == self.broken_at else 1)}

    def diagnosis(self) -> dict[str, Tensor]:
        return {"scale/largest": self.scale.detach().max()}


def one_phase(loss_term: contract.LossTerm | None, *, amount: int = 2) -> contract.TrainingPlan:
    return contract.TrainingPlan((contract.PhasePlan(amount, 0.05, loss_term=lambda: loss_term),))


@pytest.fixture
def optimizers(monkeypatch: pytest.MonkeyPatch) -> list[torch.optim.Optimizer]:
    """Every optimizer that the loop builds."""
    built: list[torch.optim.Optimizer] = []
    plain = optim.make_optimizer
    monkeypatch.setattr(optim, "make_optimizer", lambda *a, **k: built.append(plain(*a, **k)) or built[-1])
    return built


def test_without_a_loss_term_the_network_is_that_of_the_default_plan() -> None:
    trained = []
    for plan in (None, one_phase(None)):
        network = Small()
        loop.fit(network, examples(), settings(), seed=1, plan=plan)
        trained.append(weights(network))
    assert torch.equal(*trained)


def test_a_loss_term_of_zero_weight_leaves_the_network_bit_for_bit() -> None:
    trained = []
    for has_term in (False, True):
        network = Small()
        loss_term = Towards(network, alpha=0.0) if has_term else None
        loop.fit(network, examples(augmentation="flip"), settings(), seed=1, plan=one_phase(loss_term))
        trained.append(weights(network))
    assert torch.equal(*trained)


def test_one_step_follows_the_gradient_of_all_terms() -> None:
    network, by_hand = Small(), Small()
    for model in (network, by_hand):
        model.parts[2][0].p = 0.0
    data, loss_term, other = examples(count=8), Towards(network), Towards(by_hand)
    budget = settings(budget=SimpleNamespace(unit="iterations", amount=1))
    loop.fit(network, data, budget, seed=1, plan=one_phase(loss_term, amount=1))
    by_hand.train()
    pixels = data.images.batch(torch.arange(8))
    scores, terms = other.run(pixels, other.reference(pixels, start=0), start=0)
    (nn.functional.cross_entropy(scores, data.labels) + terms["towards"]).backward()
    for one, same in zip((*network.parameters(), loss_term.scale), (*by_hand.parameters(), other.scale), strict=True):
        assert same.grad is not None
        torch.testing.assert_close(one, same - 0.05 * same.grad, rtol=0, atol=1e-6)


def test_the_loss_terms_own_parameters_train_at_the_networks_rate_without_decay(
    optimizers: list[torch.optim.Optimizer],
) -> None:
    network = Small()
    loss_term = Towards(network)
    loop.fit(network, examples(), settings(weight_decay=0.5), seed=1, plan=one_phase(loss_term))
    groups = {group["name"]: group for group in optimizers[0].param_groups}
    assert set(groups) == {"backbone", "head", optim.REGULARIZER}
    assert [id(one) for one in groups[optim.REGULARIZER]["params"]] == [id(loss_term.scale)]
    assert groups[optim.REGULARIZER]["lr"] == groups["backbone"]["lr"] == 0.05
    assert {name: group["weight_decay"] for name, group in groups.items()} == {
        "backbone": 0.5,
        "head": 0.5,
        optim.REGULARIZER: 0.0,
    }
    assert not torch.equal(loss_term.scale, torch.ones(3))


def test_no_gradient_but_that_of_its_terms_reaches_its_own_parameters() -> None:
    network = Small()
    loss_term = Towards(network, alpha=0.0)
    loop.fit(network, examples(), settings(weight_decay=0.5), seed=1, plan=one_phase(loss_term))
    assert torch.equal(loss_term.scale, torch.ones(3))


def test_the_loss_in_the_history_is_the_cross_entropy_and_terms_and_diagnosis_follow() -> None:
    network = Small()
    result = loop.fit(network, examples(val=5), settings(), seed=1, plan=one_phase(Towards(network)))
    columns = ["epoch", "iteration", "lr", "train_loss", "train_accuracy", "train_towards", "scale/largest"]
    assert list(result.history[0]) == [*columns, "val_loss", "val_accuracy"]
    still = Small()
    frozen = settings(lr=1e-30, batch_size=21)
    still.parts[2][0].p = 0.0
    loss_term = Towards(still)
    plan = contract.TrainingPlan((contract.PhasePlan(1, 1e-30, loss_term=lambda: loss_term),))
    row = loop.fit(still, examples(), frozen, seed=1, plan=plan).history[0]
    data = examples()
    pixels = data.images.batch(data.train)
    scores, terms = loss_term.run(pixels, loss_term.reference(pixels, start=0), start=0)
    assert row["train_loss"] == pytest.approx(nn.functional.cross_entropy(scores, data.labels).item(), rel=1e-5)
    assert row["train_towards"] == pytest.approx(terms["towards"].item(), rel=1e-5)


def test_a_term_in_the_history_is_the_mean_over_images_of_the_smaller_last_batch_too() -> None:
    network = Small()
    loss_term = Towards(network)
    terms_by_size = []
    plain = loss_term.run

    def recorded(x: Tensor, reference: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        scores, terms = plain(x, reference, start=start)
        terms_by_size.append((len(x), terms["towards"].item()))
        return scores, terms

    loss_term.run = recorded  # type: ignore[method-assign]
    result = loop.fit(network, examples(count=21), settings(), seed=1, plan=one_phase(loss_term, amount=1))
    assert [count for count, _ in terms_by_size] == [8, 8, 5]
    expected = sum(count * value for count, value in terms_by_size) / 21
    assert result.history[0]["train_towards"] == pytest.approx(expected, rel=1e-6)


def test_a_term_alone_that_is_not_finite_raises_with_epoch_step_and_rows() -> None:
    network = Small()
    with pytest.raises(contract.NotFiniteError, match="the loss is not finite in epoch 1, step 2") as caught:
        loop.fit(network, examples(), settings(), seed=1, plan=one_phase(Towards(network, broken_at=2)))
    order = sampling.order(examples(), contract.TrainingPlan(), seed=1, epoch=1)
    assert caught.value.rows == order[8:16].tolist()


def test_the_reference_runs_once_for_each_image_where_images_repeat() -> None:
    network = Small()
    loss_term = Towards(network)
    result = loop.fit(network, examples(count=21), settings(), seed=1, plan=one_phase(loss_term, amount=3))
    # One image first, to see whether all fit.
    assert loss_term.asked == [1, 8, 8, 5]
    assert result.cache_seconds > 0


@pytest.mark.parametrize(("augmentation", "megabytes"), [("flip", 64), ("none", 0)])
def test_the_reference_runs_in_each_epoch_with_augmentation_or_without_a_cache(
    augmentation: str, megabytes: int
) -> None:
    network = Small()
    loss_term = Towards(network)
    data = examples(count=21, augmentation=augmentation)
    result = loop.fit(network, data, settings(feature_cache_mb=megabytes), seed=1, plan=one_phase(loss_term, amount=2))
    assert loss_term.asked == [8, 8, 5, 8, 8, 5]
    assert result.cache_seconds == 0


@pytest.mark.parametrize("frozen", [False, True])
def test_cached_tensors_of_the_reference_give_the_same_network_as_recomputed_ones(frozen: bool) -> None:
    trained = []
    for megabytes in (64, 0):
        network = Small(frozen=frozen)
        loss_term = Towards(network)
        loop.fit(network, examples(), settings(feature_cache_mb=megabytes), seed=1, plan=one_phase(loss_term))
        assert loss_term.starts == {int(frozen)}
        trained.append(torch.cat([weights(network), loss_term.scale.detach().double()]))
    torch.testing.assert_close(trained[0], trained[1], rtol=0, atol=1e-5)


class Nothing(Towards):
    """Loss term that needs no tensors of the reference, as L2-SP."""

    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        self.asked.append(len(x))
        return {}

    def run(self, x: Tensor, reference: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        scores = self.network.run(x, start=start)
        return scores, {"nothing": 0 * scores.sum() + 0 * self.scale.sum()}


def test_a_loss_term_without_tensors_of_the_reference_caches_nothing_in_no_time() -> None:
    network = Small()
    result = loop.fit(network, examples(), settings(), seed=1, plan=one_phase(Nothing(network)))
    assert result.cache_seconds == 0


ROWS = torch.tensor([3, 0, 7])


def doubled(rows: Tensor) -> dict[str, Tensor]:
    """Return 100 bytes per image: (n, 4, 2, 3) and (n, 1) of single precision."""
    return {"map": rows.float().view(-1, 1, 1, 1).expand(-1, 4, 2, 3), "one": 2 * rows.float().view(-1, 1)}


@pytest.mark.parametrize(("limit", "fits"), [(0, False), (299, False), (300, True)])
def test_a_cache_holds_all_or_nothing_within_its_limit(limit: int, fits: bool) -> None:
    cache = FeatureCache(doubled, ROWS, limit=limit, batch_size=2)
    assert cache.cached is fits
    assert cache.bytes == (300 if fits else 0)


def test_a_cache_returns_each_rows_tensors_in_any_order() -> None:
    cache = FeatureCache(doubled, ROWS, limit=300, batch_size=2)
    tensors = cache(torch.tensor([7, 3, 7]))
    assert tensors["one"].flatten().tolist() == [14.0, 6.0, 14.0]
    assert torch.equal(tensors["map"], doubled(torch.tensor([7, 3, 7]))["map"])


def test_reading_an_empty_cache_raises() -> None:
    with pytest.raises(ValueError, match="nothing is cached"):
        FeatureCache(doubled, ROWS, limit=0, batch_size=2)(ROWS)


class Large(Towards):
    """Loss term that needs 1,200 bytes more per image."""

    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        return super().reference(x, start=start) | {"large": x.new_zeros(len(x), 300)}


@pytest.mark.parametrize(("kind", "fits"), [(Towards, True), (Large, False)])
def test_the_reference_has_the_room_that_cached_features_leave(kind: type[Towards], fits: bool) -> None:
    """Cached features of 1,400 images take 1.05 of the 2 MiB."""
    network = Small(frozen=True)
    loss_term = kind(network)
    options = settings(feature_cache_mb=2, batch_size=700)
    result = loop.fit(network, examples(count=1400), options, seed=1, plan=one_phase(loss_term))
    assert loss_term.asked == [1, 700, 700] + [700] * (0 if fits else 2)
    assert result.cache_seconds > 0


def halves(network: Small, terms: list[Towards]) -> contract.TrainingPlan:
    def loss_term() -> Towards:
        terms.append(Towards(network))
        return terms[-1]

    return contract.TrainingPlan(
        (
            contract.PhasePlan(1, 0.05, loss_term=loss_term),
            contract.PhasePlan(2, 0.05, loss_term=loss_term, continues=True),
        )
    )


def test_each_half_has_its_own_loss_term_and_optimizer(optimizers: list[torch.optim.Optimizer]) -> None:
    network, terms = Small(), []
    loop.fit(network, examples(), settings(), seed=1, plan=halves(network, terms))
    assert len(terms) == len(optimizers) == 2
    own = [groups["params"] for one in optimizers for groups in one.param_groups if groups["name"] == optim.REGULARIZER]
    assert [id(parameters[0]) for parameters in own] == [id(loss_term.scale) for loss_term in terms]
    assert terms[1].batches == 2 * terms[0].batches


def test_curves_run_through_the_halves_and_the_schedule_goes_on() -> None:
    network = Small()
    options = settings(
        schedule="step", schedule_options={"at": (0.5,), "factor": 0.1}, budget=SimpleNamespace(unit="epochs", amount=3)
    )
    result = loop.fit(network, examples(count=16), options, seed=1, plan=halves(network, []))
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    assert [row["iteration"] for row in result.history] == [2, 4, 6]
    # Half of the first half is one of its two iterations, half of the second two of four.
    assert [row["lr"] for row in result.history] == pytest.approx([0.05, 0.005, 0.0005])


def test_a_loss_term_is_built_after_its_phase_has_applied_its_freezing() -> None:
    network, prefixes = Small(), []

    def freeze() -> None:
        network.frozen = True
        network.parts[0].requires_grad_(False)

    def loss_term() -> None:
        prefixes.append(network.frozen_prefix())

    plan = contract.TrainingPlan((contract.PhasePlan(1, 0.05, start=freeze, loss_term=loss_term),))
    loop.fit(network, examples(), settings(), seed=1, plan=plan)
    assert prefixes == [1]


def test_terms_are_computed_in_the_settings_precision_and_stay_near_single() -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        network = Small()
        row = loop.fit(
            network, examples(), settings(precision=precision), seed=1, plan=one_phase(Towards(network))
        ).history[-1]
        losses.append(row["train_towards"])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_an_epochs_line_has_the_terms_but_no_diagnosis(capsys: pytest.CaptureFixture[str]) -> None:
    network = Small()
    loop.fit(network, examples(), settings(), seed=1, plan=one_phase(Towards(network)), name="half")
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("half: epoch ") for line in lines)
    assert "train_towards" in lines[0]
    assert "scale/largest" not in lines[0]
