"""A regularizer on the forward passes of two small networks."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

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
    """Each layer is a step; what each step was given is counted."""

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


def guided(regularizer: Regularizer, *, hooked_layers: Shapes = SHAPES) -> tuple[FeatureRegularizer, Small, Small]:
    """A guide, its network and its source, which differ."""
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
    loss_term, network, _ = guided(spa())
    alone = deepcopy(network)
    scores, _ = loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    assert torch.equal(scores, alone.run(images()))


def test_the_scalars_are_the_methods_of_both_networks_maps() -> None:
    method = spa()
    loss_term, network, reference = guided(method)
    target_maps, source_maps = {}, {}
    for model, maps in ((deepcopy(network), target_maps), (reference, source_maps)):
        maps["0"] = model.model[:1](images())
        maps["3"] = model.model[:4](images())
    _, found = loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    torch.testing.assert_close(found, method(target_maps, source_maps, network.model))
    assert set(found) == {"spa", "head_penalty"}


@pytest.mark.parametrize("make", [spa, gca])
def test_a_batch_given_twice_over_has_the_same_scalars_also_in_train_mode(make) -> None:
    found = []
    for x in (images(), torch.cat([images(), images()])):
        loss_term, _, _ = guided(make())
        found.append(loss_term.run(x, loss_term.reference(x, start=0), start=0)[1])
    torch.testing.assert_close(found[0], found[1])


def test_no_gradient_reaches_the_source_and_its_maps_have_none() -> None:
    loss_term, network, reference = guided(spa())
    before = deepcopy(reference.state_dict())
    maps = loss_term.reference(images(), start=0)
    assert not any(values.requires_grad for values in maps.values())
    _, found = loss_term.run(images(), maps, start=0)
    sum(found.values()).backward()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in reference.parameters())
    assert all(torch.equal(value, before[name]) for name, value in reference.state_dict().items())
    assert network.model[0].weight.grad is not None


def test_the_methods_own_parameters_are_the_guides() -> None:
    method = spa()
    loss_term, _, _ = guided(method)
    assert [id(one) for one in loss_term.parameters()] == [id(one) for one in method.parameters()]
    assert len(list(loss_term.parameters())) == 2 * 3


def test_the_source_stops_behind_the_last_tap_and_runs_once_for_all() -> None:
    loss_term, _, reference = guided(spa())
    assert set(loss_term.reference(images(), start=0)) == set(SHAPES)
    assert reference.ran == [(0, 4)]


def test_both_networks_begin_behind_what_they_share() -> None:
    shapes = {"3": SHAPES["3"]}
    loss_term, network, reference = guided(SPA(shapes, head=HEAD), hooked_layers=shapes)
    shared = reference.model[:3](images())
    _, _ = loss_term.run(shared, loss_term.reference(shared, start=3), start=3)
    assert reference.ran == [(3, 4)]
    assert network.ran == [(3, 8)]


def test_without_taps_the_source_does_not_run() -> None:
    loss_term, _, reference = guided(HeadDecay(head=HEAD, beta=0.5), hooked_layers={})
    assert loss_term.reference(images(), start=0) == {}
    assert reference.ran == []
    assert loss_term.diagnosis() == {}


def test_hooks_are_there_for_a_pass_alone() -> None:
    loss_term, network, reference = guided(spa())
    loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    assert hooks(network) == hooks(reference) == 0
    with pytest.raises(RuntimeError):
        loss_term.run(torch.zeros(1, 5, 4, 4), {}, start=0)
    with pytest.raises(RuntimeError):
        loss_term.reference(torch.zeros(1, 5, 4, 4), start=0)
    assert hooks(network) == hooks(reference) == 0


def test_the_diagnosis_is_of_the_last_batchs_weights() -> None:
    loss_term, _, _ = guided(gca())
    loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    found = loss_term.diagnosis()
    assert set(found) == {f"{what}/{layer}" for what in ("entropy", "maximum", "mass") for layer in SHAPES}
    assert found["mass/0"] + found["mass/3"] == pytest.approx(1)
    assert all(0 <= value <= 1 for value in found.values())


def test_the_diagnosis_sees_that_weights_have_run_into_one_channel() -> None:
    method = gca()
    loss_term, _, _ = guided(method)
    with torch.no_grad():
        method.excite.bias[2] = 50.0
    loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    found = loss_term.diagnosis()
    assert found["maximum/0"] == pytest.approx(1)
    assert found["entropy/0"] == pytest.approx(0, abs=1e-6)
    assert found["mass/0"] == pytest.approx(1)


def test_the_diagnosis_is_of_weights_that_are_learnt_and_changes_nothing() -> None:
    method = spa()
    loss_term, network, _ = guided(method)
    loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    before = deepcopy((method.state_dict(), network.state_dict()))
    assert loss_term.diagnosis() == loss_term.diagnosis()
    for state, old in zip((method.state_dict(), network.state_dict()), before, strict=True):
        assert all(torch.equal(value, old[name]) for name, value in state.items())


def test_a_method_of_values_alone_looks_at_no_map() -> None:
    start = Small()
    loss_term, network, reference = guided(L2SP(start.model, head=HEAD), hooked_layers={})
    _, found = loss_term.run(images(), loss_term.reference(images(), start=0), start=0)
    kernels = [(network.model[n].weight - start.model[n].weight).square().sum() for n in (0, 3)]
    torch.testing.assert_close(found["l2_sp"], 0.1 / 2 * sum(kernels))
    assert reference.ran == []
    assert loss_term.diagnosis() == {}


def test_the_heads_decay_alone_is_half_beta_times_its_squares() -> None:
    loss_term, network, _ = guided(HeadDecay(head=HEAD, beta=0.5), hooked_layers={})
    _, found = loss_term.run(images(), {}, start=0)
    squares = network.model[7].weight.square().sum() + network.model[7].bias.square().sum()
    assert set(found) == {"head_penalty"}
    torch.testing.assert_close(found["head_penalty"], 0.25 * squares)
    assert not list(loss_term.parameters())
