"""DELTA's channel weights, and the filter importance that they are computed from."""

import copy
import math
import statistics
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.regularizers.delta import Delta, channel_weights
from pipeline.regularizers.filter_importance import _ablation, filter_importance

LAYERS = ["stem", "block.conv", "last"]


class Block(nn.Module):
    """The end of a bottleneck: convolution without bias, batch norm, shortcut added in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(5, 5, 3, padding=1, bias=False, groups=5)
        self.norm = nn.BatchNorm2d(5)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.conv(x))
        out += x
        return self.relu(out)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.block = Block()
        self.last = nn.Conv2d(5, 6, 1, bias=False)
        self.last_norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.norm(self.stem(x)).relu())
        return self.fc(self.drop(self.last_norm(self.last(x)).relu().mean(dim=(2, 3))))


def net() -> Net:
    torch.manual_seed(0)
    network = Net().double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, mean=1)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight)
    return network


def batches(*sizes: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(size, 3, 4, 4, generator=generator, dtype=torch.float64),
            torch.randint(4, (size,), generator=generator),
        )
        for size in sizes
    ]


def each(scores: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(scores, labels, reduction="none")


def loss_increases(network: nn.Module, layer: str, data: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Set the weights of one filter after another to zero, and run the whole network each time."""
    images, labels = torch.cat([x for x, _ in data]), torch.cat([y for _, y in data])
    increases = []
    for number in range(network.get_submodule(layer).out_channels):
        zeroed = copy.deepcopy(network).eval()
        with torch.no_grad():
            zeroed.get_submodule(layer).weight[number] = 0
            after = cross_entropy(zeroed(images), labels)
            before = cross_entropy(copy.deepcopy(network).eval()(images), labels)
        increases.append(after - before)
    return torch.stack(increases)


@pytest.mark.parametrize("filters_at_once", [1, 2, 128])
def test_filter_importance_is_the_loss_increase_of_really_zeroing_each_filter(filters_at_once: int) -> None:
    network, data = net(), batches(3, 2)
    importance = filter_importance(network, LAYERS, data, each, filters_at_once=filters_at_once)
    assert list(importance) == LAYERS
    for layer in LAYERS:
        torch.testing.assert_close(importance[layer], loss_increases(network, layer, data), rtol=0, atol=1e-6)
        assert importance[layer].abs().max() > 1e-3


class Indexed(TorchDispatchMode):
    """Names of the operations that read or write by tensors of indices."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "index" in str(func):
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_filters_are_taken_out_without_indices_whose_check_a_gpu_waits_for() -> None:
    network, data = net(), batches(1)
    with Indexed() as indexed:
        filter_importance(network, LAYERS, data, each, filters_at_once=2)
    assert indexed.names == []


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_copy_for_each_filter_has_its_bias_in_its_channel_bit_by_bit(bias: bool, precision: torch.dtype) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, bias=bias).to(memory_format=torch.channels_last)
    image = torch.randn(1, 3, 6, 5).to(memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        expected = conv(image).repeat(3, 1, 1, 1)
        with _ablation(conv, range(2, 5)):
            copies = conv(image)
    for row, number in enumerate(range(2, 5)):
        expected[row, number] = 0 if conv.bias is None else conv.bias[number].item()
    assert copies.dtype == precision
    assert torch.equal(copies, expected)
    # The layout decides which kernels the next layers run, and so their last digits.
    assert copies.stride() == expected.stride()


def test_filter_importance_leaves_values_buffers_and_modes_as_they_were() -> None:
    network = net().train()
    network.block.norm.eval()
    before, modes = copy.deepcopy(network.state_dict()), [module.training for module in network.modules()]
    filter_importance(network, LAYERS, batches(2), each)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())


def test_filter_importance_carries_no_gradient() -> None:
    assert not any(values.requires_grad for values in filter_importance(net(), LAYERS, batches(1), each).values())


def test_an_exception_leaves_modes_values_and_no_hook() -> None:
    network, data = net().train(), batches(2)
    before, calls = copy.deepcopy(network.state_dict()), []

    def fails(scores: Tensor, labels: Tensor) -> Tensor:
        calls.append(len(scores))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return each(scores, labels)

    def broken(module: nn.Module, inputs: tuple[Tensor]) -> None:
        if len(inputs[0]) > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filter_importance(network, LAYERS, data, fails)
    handle = network.last_norm.register_forward_pre_hook(broken)
    with pytest.raises(KeyboardInterrupt):
        filter_importance(network, LAYERS, data, each)
    handle.remove()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())


def test_layers_before_a_convolution_run_for_one_image_and_layers_after_it_for_as_many_as_filters() -> None:
    network, sizes = net(), {"stem": [], "fc": []}
    for name in sizes:
        network.get_submodule(name).register_forward_pre_hook(
            lambda module, inputs, name=name: sizes[name].append(len(inputs[0]))
        )
    filter_importance(network, ["last"], batches(1), each, filters_at_once=4)
    assert sizes == {"stem": [1, 1, 1], "fc": [1, 4, 2]}


def test_progress_is_reported_after_every_image() -> None:
    calls = []
    filter_importance(net(), ["last"], batches(2, 1), each, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_channel_weights_are_the_softmax_of_a_fifth_of_the_z_scores() -> None:
    values = [0.3, -0.1, 0.0, 2.0]
    center, deviation = statistics.mean(values), statistics.pstdev(values)
    exponentials = [math.exp((value - center) / deviation / 5) for value in values]
    weights = channel_weights({"conv": torch.tensor(values, dtype=torch.float64)})["conv"]
    expected = torch.tensor([value / sum(exponentials) for value in exponentials], dtype=torch.float64)
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("values", [[0.1, 0.1, 0.1], [0.0, 0.0], [7.0]])
def test_filters_that_do_not_differ_weigh_the_same(values: list[float]) -> None:
    weights = channel_weights({"conv": torch.tensor(values)})["conv"]
    torch.testing.assert_close(weights, torch.full((len(values),), 1 / len(values)))


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_shares_and_mean_one_weights_give_the_same(factor: float) -> None:
    shares = torch.tensor([0.2, 0.3, 0.5])
    regularizer = Delta({"conv": (3, 2, 2)}, head="fc", channel_weights={"conv": shares * factor})
    maps = {"conv": torch.zeros(2, 3, 2, 2)}
    torch.testing.assert_close(regularizer.weights(maps, maps)["conv"], (3 * shares).expand(2, 3))


def test_channel_weights_are_cloned_and_in_the_state() -> None:
    shares = torch.tensor([0.25, 0.75])
    regularizer = Delta({"a.conv": (2, 2, 2)}, head="fc", channel_weights={"a.conv": shares})
    shares.zero_()
    assert {name: value.tolist() for name, value in regularizer.state_dict().items()} == {
        "channels.a/conv": [0.25, 0.75]
    }
