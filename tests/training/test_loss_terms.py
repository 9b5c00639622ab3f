"""What the loop does with a guide: its terms, its own parameters, and what it knows of the source."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.datasets.transforms.image_transform import build_transform
from pipeline.training import contract, loop, optim, sampling
from pipeline.training.features import FeatureCache
from pipeline.training.images import Images

CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Small(nn.Module):
    """A convolution, which may be frozen, a second one, and a linear layer behind dropout."""

    def __init__(self, *, frozen: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.parts = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()),
                nn.Sequential(nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
                nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 3)),
            ]
        )
        self.frozen = frozen
        self.parts[0].requires_grad_(not frozen)

    def train(self, mode: bool = True) -> "Small":
        super().train(mode)
        if self.frozen:
            self.parts[0].eval()
        return self

    def groups(self) -> dict[str, list[nn.Parameter]]:
        head, rest = list(self.parts[2].parameters()), list(self.parts[:2].parameters())
        return {"backbone": [p for p in rest if p.requires_grad], "head": head}

    def frozen_prefix(self) -> int:
        return int(self.frozen)

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        for part in self.parts[start:stop]:
            x = part(x)
        return x


class Towards:
    """Class scores stay near alpha times those of a source, which a scale of its own moves."""

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

    def diagnosis(self) -> dict[str, float]:
        return {"scale/largest": self.scale.max().item()}


def settings(**changes: Any) -> SimpleNamespace:
    values = {
        "budget": SimpleNamespace(unit="epochs", amount=2),
        "batch_size": 8,
        "optimizer": "sgd",
        "optimizer_options": {"momentum": 0.9, "nesterov": False},
        "lr": 0.05,
        "weight_decay": 0.0,
        "schedule": "constant",
        "schedule_options": {},
        "precision": "fp32",
        "feature_cache_mb": 64,
    }
    return SimpleNamespace(**(values | changes))


def examples(*, count: int = 21, val: int = 0, augmentation: str = "none") -> contract.Examples:
    numbers = np.random.default_rng(0)
    array = numbers.integers(0, 256, (count + val, 3, 16, 16), dtype=np.uint8)
    labels = torch.from_numpy(numbers.integers(0, 3, count + val))
    rows = torch.arange(count + val)
    shown = build_transform(
        image_size=16, crop_size=16, crop_padding=0, input_size=16, augmentation=augmentation, options={}
    )
    images = Images(array, rows, mean=MEAN, std=STD, device=CPU, transform=shown)
    return contract.Examples(images, labels, rows[:count], rows[count:])


def one_phase(loss_term: contract.LossTerm | None, *, amount: int = 2) -> contract.TrainingPlan:
    return contract.TrainingPlan((contract.PhasePlan(amount, 0.05, loss_term=lambda: loss_term),))


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


@pytest.fixture
def optimizers(monkeypatch: pytest.MonkeyPatch) -> list[torch.optim.Optimizer]:
    """Every optimizer that the loop makes."""
    made: list[torch.optim.Optimizer] = []
    plain = optim.make_optimizer
    monkeypatch.setattr(optim, "make_optimizer", lambda *a, **k: made.append(plain(*a, **k)) or made[-1])
    return made


def test_without_a_guide_the_network_is_the_one_of_a_course_that_knows_of_none() -> None:
    trained = []
    for plan in (None, one_phase(None)):
        network = Small()
        loop.fit(network, examples(), settings(), seed=1, plan=plan)
        trained.append(weights(network))
    assert torch.equal(*trained)


def test_a_guide_whose_terms_weigh_nothing_leaves_the_network_bit_for_bit() -> None:
    trained = []
    for guided in (False, True):
        network = Small()
        loss_term = Towards(network, alpha=0.0) if guided else None
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


def test_the_guides_own_parameters_train_at_the_networks_rate_without_decay(
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


def test_no_gradient_but_that_of_its_terms_reaches_a_guides_parameters() -> None:
    network = Small()
    loss_term = Towards(network, alpha=0.0)
    loop.fit(network, examples(), settings(weight_decay=0.5), seed=1, plan=one_phase(loss_term))
    assert torch.equal(loss_term.scale, torch.ones(3))


def test_the_loss_in_the_history_is_the_cross_entropy_and_terms_and_diagnosis_follow() -> None:
    network = Small()
    outcome = loop.fit(network, examples(val=5), settings(), seed=1, plan=one_phase(Towards(network)))
    columns = ["epoch", "iteration", "lr", "train_loss", "train_accuracy", "train_towards", "scale/largest"]
    assert list(outcome.history[0]) == [*columns, "val_loss", "val_accuracy"]
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
    seen = []
    plain = loss_term.run

    def noted(x: Tensor, reference: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        scores, terms = plain(x, reference, start=start)
        seen.append((len(x), terms["towards"].item()))
        return scores, terms

    loss_term.run = noted  # type: ignore[method-assign]
    outcome = loop.fit(network, examples(count=21), settings(), seed=1, plan=one_phase(loss_term, amount=1))
    assert [count for count, _ in seen] == [8, 8, 5]
    expected = sum(count * value for count, value in seen) / 21
    assert outcome.history[0]["train_towards"] == pytest.approx(expected, rel=1e-6)


def test_a_term_alone_that_is_not_finite_is_told_with_epoch_step_and_rows() -> None:
    network = Small()
    with pytest.raises(contract.NotFiniteError, match="the loss is not finite in epoch 1, step 2") as caught:
        loop.fit(network, examples(), settings(), seed=1, plan=one_phase(Towards(network, broken_at=2)))
    order = sampling.order(examples(), contract.TrainingPlan(), seed=1, epoch=1)
    assert caught.value.rows == order[8:16].tolist()


def test_the_source_is_asked_once_for_each_image_where_images_repeat() -> None:
    network = Small()
    loss_term = Towards(network)
    outcome = loop.fit(network, examples(count=21), settings(), seed=1, plan=one_phase(loss_term, amount=3))
    # One image first, to see whether all fit.
    assert loss_term.asked == [1, 8, 8, 5]
    assert outcome.cache_seconds > 0


@pytest.mark.parametrize(("augmentation", "megabytes"), [("flip", 64), ("none", 0)])
def test_the_source_is_asked_anew_where_images_vary_or_nothing_may_be_kept(augmentation: str, megabytes: int) -> None:
    network = Small()
    loss_term = Towards(network)
    data = examples(count=21, augmentation=augmentation)
    outcome = loop.fit(network, data, settings(feature_cache_mb=megabytes), seed=1, plan=one_phase(loss_term, amount=2))
    assert loss_term.asked == [8, 8, 5, 8, 8, 5]
    assert outcome.cache_seconds == 0


@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_kept_of_the_source_gives_the_same_network_as_asking_it_anew(frozen: bool) -> None:
    trained = []
    for megabytes in (64, 0):
        network = Small(frozen=frozen)
        loss_term = Towards(network)
        loop.fit(network, examples(), settings(feature_cache_mb=megabytes), seed=1, plan=one_phase(loss_term))
        assert loss_term.starts == {int(frozen)}
        trained.append(torch.cat([weights(network), loss_term.scale.detach().double()]))
    torch.testing.assert_close(trained[0], trained[1], rtol=0, atol=1e-5)


class Nothing(Towards):
    """A guide that needs nothing of the source, as L2-SP."""

    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        self.asked.append(len(x))
        return {}

    def run(self, x: Tensor, reference: Mapping[str, Tensor], *, start: int) -> tuple[Tensor, dict[str, Tensor]]:
        scores = self.network.run(x, start=start)
        return scores, {"nothing": 0 * scores.sum() + 0 * self.scale.sum()}


def test_where_a_guide_needs_nothing_of_the_source_nothing_is_kept_and_no_time_is_told() -> None:
    network = Small()
    outcome = loop.fit(network, examples(), settings(), seed=1, plan=one_phase(Nothing(network)))
    assert outcome.cache_seconds == 0


ROWS = torch.tensor([3, 0, 7])


def doubled(rows: Tensor) -> dict[str, Tensor]:
    """100 bytes an image: (n, 4, 2, 3) and (n, 1) of single precision."""
    return {"map": rows.float().view(-1, 1, 1, 1).expand(-1, 4, 2, 3), "one": 2 * rows.float().view(-1, 1)}


@pytest.mark.parametrize(("limit", "kept"), [(0, False), (299, False), (300, True)])
def test_a_memory_keeps_all_or_nothing_within_its_limit(limit: int, kept: bool) -> None:
    memory = FeatureCache(doubled, ROWS, limit=limit, batch_size=2)
    assert memory.cached is kept
    assert memory.bytes == (300 if kept else 0)


def test_a_memory_gives_each_row_its_own_in_any_order() -> None:
    memory = FeatureCache(doubled, ROWS, limit=300, batch_size=2)
    found = memory(torch.tensor([7, 3, 7]))
    assert found["one"].flatten().tolist() == [14.0, 6.0, 14.0]
    assert torch.equal(found["map"], doubled(torch.tensor([7, 3, 7]))["map"])


def test_what_was_not_kept_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="nothing is cached"):
        FeatureCache(doubled, ROWS, limit=0, batch_size=2)(ROWS)


class Large(Towards):
    """A guide that needs 1,200 bytes more of each image."""

    def reference(self, x: Tensor, *, start: int) -> dict[str, Tensor]:
        return super().reference(x, start=start) | {"large": x.new_zeros(len(x), 300)}


@pytest.mark.parametrize(("kind", "kept"), [(Towards, True), (Large, False)])
def test_the_source_has_the_room_that_kept_features_leave(kind: type[Towards], kept: bool) -> None:
    """Kept features of 1,400 images are 1.05 MiB of the two that there are."""
    network = Small(frozen=True)
    loss_term = kind(network)
    chosen = settings(feature_cache_mb=2, batch_size=700)
    outcome = loop.fit(network, examples(count=1400), chosen, seed=1, plan=one_phase(loss_term))
    assert loss_term.asked == [1, 700, 700] + [700] * (0 if kept else 2)
    assert outcome.cache_seconds > 0


def halves(network: Small, made: list[Towards]) -> contract.TrainingPlan:
    def loss_term() -> Towards:
        made.append(Towards(network))
        return made[-1]

    return contract.TrainingPlan(
        (
            contract.PhasePlan(1, 0.05, loss_term=loss_term),
            contract.PhasePlan(2, 0.05, loss_term=loss_term, continues=True),
        )
    )


def test_each_half_has_a_guide_and_an_optimizer_of_its_own(optimizers: list[torch.optim.Optimizer]) -> None:
    network, made = Small(), []
    loop.fit(network, examples(), settings(), seed=1, plan=halves(network, made))
    assert len(made) == len(optimizers) == 2
    own = [groups["params"] for one in optimizers for groups in one.param_groups if groups["name"] == optim.REGULARIZER]
    assert [id(parameters[0]) for parameters in own] == [id(loss_term.scale) for loss_term in made]
    assert made[1].batches == 2 * made[0].batches


def test_curves_run_through_the_halves_and_the_schedule_goes_on() -> None:
    network = Small()
    chosen = settings(
        schedule="step", schedule_options={"at": (0.5,), "factor": 0.1}, budget=SimpleNamespace(unit="epochs", amount=3)
    )
    outcome = loop.fit(network, examples(count=16), chosen, seed=1, plan=halves(network, []))
    assert [row["epoch"] for row in outcome.history] == [1, 2, 3]
    assert [row["iteration"] for row in outcome.history] == [2, 4, 6]
    # Half of the first half is one of its two iterations, half of the second two of four.
    assert [row["lr"] for row in outcome.history] == pytest.approx([0.05, 0.005, 0.0005])


def test_a_guide_is_made_when_its_phase_has_frozen_what_it_freezes() -> None:
    network, seen = Small(), []

    def freeze() -> None:
        network.frozen = True
        network.parts[0].requires_grad_(False)

    def loss_term() -> None:
        seen.append(network.frozen_prefix())

    plan = contract.TrainingPlan((contract.PhasePlan(1, 0.05, start=freeze, loss_term=loss_term),))
    loop.fit(network, examples(), settings(), seed=1, plan=plan)
    assert seen == [1]


def test_terms_are_worked_out_in_the_trainings_precision_and_stay_near_single() -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        network = Small()
        row = loop.fit(
            network, examples(), settings(precision=precision), seed=1, plan=one_phase(Towards(network))
        ).history[-1]
        losses.append(row["train_towards"])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_a_line_of_an_epoch_tells_the_terms_but_not_the_diagnosis(capsys: pytest.CaptureFixture[str]) -> None:
    network = Small()
    loop.fit(network, examples(), settings(), seed=1, plan=one_phase(Towards(network)), name="half")
    told = capsys.readouterr().out.splitlines()
    assert all(line.startswith("half: epoch ") for line in told)
    assert "train_towards" in told[0]
    assert "scale/largest" not in told[0]
