"""Hierarchical attention's running mean of its own maps."""

import pytest
import torch
from torch import Tensor, nn

from pipeline.networks.attention.hierarchical import HierarchicalAttention

C = 8


def made(**options: object) -> HierarchicalAttention:
    torch.manual_seed(0)
    attention = HierarchicalAttention(C, reduction=2, temporal_memory=True, **options)
    nn.init.normal_(attention.join.weight)
    return attention


def images(height: int = 7, width: int = 7, seed: int = 1) -> Tensor:
    return torch.randn(3, C, height, width, generator=torch.Generator().manual_seed(seed))


def memory(attention: HierarchicalAttention) -> Tensor:
    assert attention.memory is not None
    return attention.memory.clone()


def test_by_default_there_is_no_memory() -> None:
    plain = HierarchicalAttention(C, reduction=2)
    assert plain.memory is None
    assert "memory" not in plain.state_dict()


@pytest.mark.parametrize(("gate_init", "start"), [("paper", 0.5), ("identity", 1.0)])
def test_the_memory_starts_as_the_gate_of_zero(gate_init: str, start: float) -> None:
    assert torch.equal(memory(made(gate_init=gate_init)), torch.full((1, 1, 7, 7), start))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_memory_is_the_running_mean_of_the_batches_mean_maps(momentum: float) -> None:
    attention = made(memory_momentum=momentum)
    expected = memory(attention)
    for seed in (1, 2):
        mean_map = attention.maps(images(seed=seed))["position"].detach().mean(0)
        expected = momentum * expected + (1 - momentum) * mean_map
        attention(images(seed=seed))
        torch.testing.assert_close(memory(attention), expected)


def test_the_memory_does_not_change_in_eval_mode() -> None:
    attention = made().eval()
    before = memory(attention)
    attention(images())
    assert torch.equal(memory(attention), before)


def test_returning_maps_does_not_change_the_memory_in_train_mode() -> None:
    attention = made()
    before = memory(attention)
    attention.maps(images())
    assert torch.equal(memory(attention), before)


def test_the_content_of_the_memory_changes_the_map() -> None:
    attention = made().eval()
    before = attention.maps(images())["position"]
    assert attention.memory is not None
    attention.memory[..., 3, 3] += 1
    difference = (attention.maps(images())["position"] - before).abs()
    assert (difference[:, 3, 3] > 1e-3).all()
    assert (difference[:, 0, 0] == 0).all()


def test_no_gradient_reaches_the_memory() -> None:
    attention = made()
    attention(images()).sum().backward()
    attention(images()).sum().backward()
    assert not memory(attention).requires_grad


def test_maps_of_any_size_are_averaged_to_the_size_of_the_memory() -> None:
    attention = made(memory_momentum=0.0)
    mean_map = attention.maps(images(14, 14))["position"].detach().mean(0)
    attention(images(14, 14))
    expected = mean_map.reshape(7, 2, 7, 2).mean((1, 3))
    torch.testing.assert_close(memory(attention)[0, 0], expected)


@pytest.mark.parametrize("size", [(4, 3), (7, 7), (14, 9)])
def test_saved_memory_fits_features_of_any_size(size: tuple[int, int]) -> None:
    attention, other = made(), made()
    for seed in (1, 2):
        attention(images(seed=seed))
    other.load_state_dict(attention.state_dict())
    assert torch.equal(memory(other), memory(attention))
    assert torch.equal(other.eval()(images(*size)), attention.eval()(images(*size)))


def test_the_memory_keeps_its_precision_under_autocast() -> None:
    attention = made()
    before = memory(attention)
    with torch.autocast("cpu", torch.bfloat16):
        attention(images())
    assert memory(attention).dtype == torch.float32
    assert not torch.equal(memory(attention), before)
