"""A regularizer on the forward passes of two small networks."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from pipeline.regularizers.contract import Regularizer, Shapes
from pipeline.regularizers.feature_hooks import freeze_reference
from pipeline.regularizers.feature_regularizer import FeatureRegularizer
from pipeline.regularizers.gca import GCA
from pipeline.regularizers.head_decay import HeadDecay
from pipeline.regularizers.l2_sp import L2SP
from pipeline.regularizers.spa import SPA

SHAPES: Shapes = {"0": (4, 4, 4), "3": (6, 2, 2)}
HEAD = "7"


class Small(nn.Module):
    """A network in which each layer is a step; it records the steps of each run."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.Conv2d(4, 6, 3, stride=2, padding=1),
            nn.BatchNorm2d(6),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 5),
        )
        self.ran: list[tuple[int, int]] = []

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor:
        end = len(self.model) if stop is None else stop
        self.ran.append((start, end))
        for layer in self.model[start:end]:
            x = layer(x)
        return x


def regularized(regularizer: Regularizer, *, hooked_layers: Shapes = SHAPES) -> tuple[FeatureRegularizer, Small, Small]:
    """A loss term, its network and its reference network, which differ."""
    network = Small()
    reference = freeze_reference(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    assert isinstance(reference, Small)
    return FeatureRegularizer(network, reference, regularizer, tuple(hooked_layers), stop=4), network, reference


def spa() -> SPA:
    torch.manual_seed(1)
    return SPA(SHAPES, head=HEAD)


def gca() -> GCA:
    torch.manual_seed(1)
    return GCA(SHAPES, head=HEAD)


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(2))


def hooks(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def test_the_scores_are_those_of_the_network_alone_bit_for_bit() -> None:
    loss_term, network, _ = regularized(spa())
    alone = deepcopy(network)
    scores, _ = loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    assert torch.equal(scores, alone.run(images()))


def test_the_scalars_are_the_methods_of_both_networks_maps() -> None:
    method = spa()
    loss_term, network, reference = regularized(method)
    target_maps, reference_maps = {}, {}
    for model, maps in ((deepcopy(network), target_maps), (reference, reference_maps)):
        maps["0"] = model.model[:1](images())
        maps["3"] = model.model[:4](images())
    _, scalars = loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    torch.testing.assert_close(scalars, method(target_maps, reference_maps, network.model))
    assert set(scalars) == {"spa", "head_penalty"}


@pytest.mark.parametrize("make", [spa, gca])
def test_a_doubled_batch_has_the_same_scalars_also_in_train_mode(make) -> None:
    scalars = []
    for x in (images(), torch.cat([images(), images()])):
        loss_term, _, _ = regularized(make())
        scalars.append(loss_term.run(x, loss_term.reference(x, start=0), start=0)[1])
    torch.testing.assert_close(scalars[0], scalars[1])


def test_no_gradient_reaches_the_reference_and_its_maps_have_none() -> None:
    loss_term, network, reference = regularized(spa())
    before = deepcopy(reference.state_dict())
    maps = loss_term.reference(images(), start=0)
    assert not any(values.requires_grad for values in maps.values())
    _, scalars = loss_term.run(images(), maps, start=0)
    sum(scalars.values()).backward()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in reference.parameters())
    assert all(torch.equal(value, before[name]) for name, value in reference.state_dict().items())
    assert network.model[0].weight.grad is not None


def test_the_loss_terms_parameters_are_the_methods_own() -> None:
    method = spa()
    loss_term, _, _ = regularized(method)
    assert [id(one) for one in loss_term.parameters()] == [id(one) for one in method.parameters()]
    assert len(list(loss_term.parameters())) == 2 * 3


def test_the_reference_stops_after_the_last_hooked_layer_and_runs_once_for_all() -> None:
    loss_term, _, reference = regularized(spa())
    assert set(loss_term.reference(images(), start=0)) == set(SHAPES)
    assert reference.ran == [(0, 4)]


def test_both_networks_begin_after_the_steps_that_they_share() -> None:
    shapes = {"3": SHAPES["3"]}
    loss_term, network, reference = regularized(SPA(shapes, head=HEAD), hooked_layers=shapes)
    shared = reference.model[:3](images())
    _, _ = loss_term.run(shared, loss_term.reference(shared, start=3), start=3)
    assert reference.ran == [(3, 4)]
    assert network.ran == [(3, 8)]


def test_without_hooked_layers_the_reference_does_not_run() -> None:
    loss_term, _, reference = regularized(HeadDecay(head=HEAD, beta=0.5), hooked_layers={})
    assert loss_term.reference(images(), start=0) == {}
    assert reference.ran == []
    assert loss_term.diagnosis() == {}


def test_hooks_exist_during_a_pass_only() -> None:
    loss_term, network, reference = regularized(spa())
    loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    assert hooks(network) == hooks(reference) == 0
    with pytest.raises(RuntimeError):
        loss_term.run(torch.zeros(1, 5, 4, 4), {}, start=0)
    with pytest.raises(RuntimeError):
        loss_term.reference(torch.zeros(1, 5, 4, 4), start=0)
    assert hooks(network) == hooks(reference) == 0


def test_the_diagnosis_is_of_the_last_batchs_weights() -> None:
    loss_term, _, _ = regularized(gca())
    loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    diagnosis = loss_term.diagnosis()
    assert set(diagnosis) == {
        f"{statistic}/{layer}" for statistic in ("entropy", "maximum", "mass") for layer in SHAPES
    }
    assert diagnosis["mass/0"] + diagnosis["mass/3"] == pytest.approx(1)
    assert all(0 <= value <= 1 for value in diagnosis.values())


def test_the_diagnosis_shows_that_weights_have_collapsed_to_one_channel() -> None:
    method = gca()
    loss_term, _, _ = regularized(method)
    with torch.no_grad():
        method.excite.bias[2] = 50.0
    loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    diagnosis = loss_term.diagnosis()
    assert diagnosis["maximum/0"] == pytest.approx(1)
    assert diagnosis["entropy/0"] == pytest.approx(0, abs=1e-6)
    assert diagnosis["mass/0"] == pytest.approx(1)


def test_the_diagnosis_of_learned_weights_changes_nothing() -> None:
    method = spa()
    loss_term, network, _ = regularized(method)
    loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    before = deepcopy((method.state_dict(), network.state_dict()))
    assert loss_term.diagnosis() == loss_term.diagnosis()
    for state, old in zip((method.state_dict(), network.state_dict()), before, strict=True):
        assert all(torch.equal(value, old[name]) for name, value in state.items())


def test_a_method_on_parameters_uses_no_map() -> None:
    start = Small()
    loss_term, network, reference = regularized(L2SP(start.model, head=HEAD), hooked_layers={})
    _, scalars = loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    kernels = [(network.model[n].weight - start.model[n].weight).square().sum() for n in (0, 3)]
    torch.testing.assert_close(scalars["l2_sp"], 0.1 / 2 * sum(kernels))
    assert reference.ran == []
    assert loss_term.diagnosis() == {}


def test_the_heads_decay_alone_is_half_beta_times_its_squares() -> None:
    loss_term, network, _ = regularized(HeadDecay(head=HEAD, beta=0.5), hooked_layers={})
    _, scalars = loss_term.run(images(), {}, start=0)
    squares = network.model[7].weight.square().sum() + network.model[7].bias.square().sum()
    assert set(scalars) == {"head_penalty"}
    torch.testing.assert_close(scalars["head_penalty"], 0.25 * squares)
    assert not list(loss_term.parameters())


@pytest.mark.parametrize("method", [spa, gca])
def test_a_pass_walks_through_no_modules(method: Callable[[], Regularizer], monkeypatch: pytest.MonkeyPatch) -> None:
    term, network, reference = regularized(method())
    for model in (network.model, reference.model):
        monkeypatch.setattr(model, "named_modules", lambda *_: pytest.fail("all modules were listed"))
    for _ in range(2):
        maps = term.reference(images(), start=0)
        assert set(maps) == set(SHAPES)
        term.run(images(), maps, start=0)
    assert not any(module._forward_hooks for module in network.model)


def test_a_layer_that_is_not_there_is_refused_when_the_term_is_built() -> None:
    with pytest.raises(InputError, match="module '8'"):
        regularized(spa(), hooked_layers={"8": (4, 4, 4)})


class Mistaken(Regularizer):
    """Returns what the loop cannot add."""

    name = "mistaken"

    def __init__(self, terms: dict[str, Tensor]) -> None:
        super().__init__()
        self.terms = terms

    def forward(self, target: object, reference: object, network: object) -> dict[str, Tensor]:
        return self.terms


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"loss": torch.zeros(())}, "'mistaken' returns 'loss', which is a scalar of the training itself; rename it"),
        (
            {"own": torch.zeros(3)},
            r"'mistaken' returns 'own' of shape \(3,\); return a scalar, the mean over the batch",
        ),
    ],
)
def test_terms_that_cannot_be_added_to_the_loss_are_refused_by_the_methods_name(
    terms: dict[str, Tensor], message: str
) -> None:
    loss_term, _, _ = regularized(Mistaken(terms))
    with pytest.raises(InputError, match=message):
        loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
