"""L2-SP: distance, covered parameters, and the starting point in the state."""

import copy

import pytest
import torch
from torch import nn

from pipeline.regularizers.l2_sp import L2SP


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.attention = nn.Conv2d(4, 4, 1)
        self.block = nn.Sequential(nn.Conv2d(4, 5, 3, bias=False), nn.Conv1d(1, 1, 3, bias=False))
        self.mix = nn.MultiheadAttention(4, 2)
        self.embedding = nn.Parameter(torch.randn(1, 2))
        self.fc = nn.Sequential(nn.Conv2d(5, 2, 1), nn.Linear(2, 2))


def net() -> Net:
    torch.manual_seed(0)
    return Net().double()


def moved(network: nn.Module) -> nn.Module:
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn_like(parameter))
    return other


KERNELS = {"conv.weight", "block.0.weight", "block.1.weight", "mix.in_proj_weight", "mix.out_proj.weight"}
ALL = KERNELS | {"conv.bias", "norm.weight", "norm.bias", "mix.in_proj_bias", "mix.out_proj.bias", "embedding"}


def slow(start: nn.Module, network: nn.Module, names: set[str]) -> float:
    total = 0.0
    for name in names:
        for w0, w in zip(start.get_parameter(name).flatten(), network.get_parameter(name).flatten(), strict=True):
            total += (w.item() - w0.item()) ** 2
    return total


@pytest.mark.parametrize(("covers", "names"), [("kernels", KERNELS), ("all", ALL)])
def test_the_distance_is_that_of_the_covered_values_from_their_start(covers: str, names: set[str]) -> None:
    start = net()
    regularizer = L2SP(start, head="fc", inserted=["attention"], covers=covers, alpha=0.4)
    network = moved(start)
    term = regularizer({}, {}, network)["l2_sp"]
    assert term.item() == pytest.approx(0.4 / 2 * slow(start, network, names), abs=1e-8)


@pytest.mark.parametrize(("covers", "names"), [("kernels", KERNELS), ("all", ALL)])
def test_covered_values_alone_are_pulled_to_their_start(covers: str, names: set[str]) -> None:
    start = net()
    network = moved(start)
    L2SP(start, head="fc", inserted=["attention"], covers=covers, alpha=0.4)({}, {}, network)["l2_sp"].backward()
    assert {name for name, parameter in network.named_parameters() if parameter.grad is not None} == names
    for name in names:
        w, w0 = network.get_parameter(name), start.get_parameter(name)
        torch.testing.assert_close(w.grad, (0.4 * (w - w0)).detach(), rtol=0, atol=1e-12)


def test_the_heads_penalty_covers_the_whole_head() -> None:
    network = net()
    term = L2SP(network, head="fc", beta=0.6)({}, {}, network)["head_penalty"]
    expected = 0.3 * sum(value.item() ** 2 for p in network.fc.parameters() for value in p.flatten())
    assert term.item() == pytest.approx(expected, abs=1e-10)


def test_the_start_stays_where_it_was_while_the_network_trains() -> None:
    network = net()
    regularizer = L2SP(network, head="fc")
    before = copy.deepcopy(regularizer.state_dict())
    with torch.no_grad():
        network.conv.weight.add_(1)
    assert regularizer({}, {}, network)["l2_sp"].item() == pytest.approx(0.05 * network.conv.weight.numel())
    assert all(torch.equal(value, before[name]) for name, value in regularizer.state_dict().items())


def test_the_start_is_in_the_state_and_comes_back_from_it() -> None:
    start = net()
    regularizer = L2SP(start, head="fc", covers="all")
    assert len(regularizer.state_dict()) == len(ALL | {"attention.weight", "attention.bias"})
    other = L2SP(moved(start), head="fc", covers="all")
    assert other({}, {}, start)["l2_sp"] > 0
    other.load_state_dict(regularizer.state_dict())
    assert other({}, {}, start)["l2_sp"].item() == 0


def test_the_start_goes_where_the_module_goes() -> None:
    regularizer = L2SP(net(), head="fc")
    assert {value.dtype for value in regularizer.float().buffers()} == {torch.float32}
    assert {value.device.type for value in regularizer.to("meta").buffers()} == {"meta"}


def test_nothing_of_the_start_trains() -> None:
    assert not any(value.requires_grad for value in L2SP(net(), head="fc").state_dict(keep_vars=True).values())


def test_each_network_is_measured_by_its_own_values() -> None:
    start = net()
    regularizer = L2SP(start, head="fc", inserted=["attention"], alpha=0.4)
    networks = [moved(start), moved(start)]
    for network in (*networks, *networks):
        term = regularizer({}, {}, network)["l2_sp"].item()
        assert term == pytest.approx(0.4 / 2 * slow(start, network, KERNELS), abs=1e-8)
    assert set(regularizer.state_dict()) == {f"start.{name.replace('.', '/')}" for name in KERNELS}


def test_values_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = net()
    regularizer = L2SP(network, head="fc", inserted=["attention"])
    regularizer({}, {}, network)
    monkeypatch.setattr(nn.Module, "get_parameter", lambda *_: pytest.fail("looked up again"))
    regularizer({}, {}, network)
