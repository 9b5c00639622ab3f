"""Products with two small matrices against torch's own averages and interpolation."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.networks import resizing
from pipeline.networks.heads.modules import AverageTo

SIZES = [(7, 7), (8, 8), (2, 2), (9, 16), (1, 1), (56, 5), (14, 28)]


def maps(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(3, 2, *size, generator=torch.Generator().manual_seed(0), dtype=dtype).requires_grad_()


def with_gradient(function: object, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return a function's result, and the gradient of a sum of it in which no two values have one weight."""
    y = function(x)  # type: ignore[operator]
    [gradient] = torch.autograd.grad((y * torch.linspace(1, 2, y.numel()).view_as(y)).sum(), x)
    return y, gradient


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [7, 3])
def test_averages_by_products_are_torchs(size: tuple[int, int], side: int) -> None:
    x = maps(*size)
    own = with_gradient(lambda x: resizing.average_by_products(x, side), x)
    torch.testing.assert_close(own, with_gradient(lambda x: F.adaptive_avg_pool2d(x, side), x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("to", [(7, 7), (28, 14), (1, 3), (55, 56)])
def test_interpolation_by_products_is_torchs(size: tuple[int, int], to: tuple[int, int]) -> None:
    x = maps(*size)
    own = with_gradient(lambda x: resizing.bilinear_by_products(x, *to), x)
    expected = with_gradient(lambda x: F.interpolate(x, to, mode="bilinear", align_corners=False), x)
    torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5)


def test_a_cpu_has_torchs_own_bits() -> None:
    x = maps(5, 9)
    assert torch.equal(resizing.average(x, 7), F.adaptive_avg_pool2d(x, 7))
    expected = F.interpolate(x, (8, 8), mode="bilinear", align_corners=False)
    assert torch.equal(resizing.bilinear(x, 8, 8), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_weights_of_regions_are_torchs_to_the_bit(dtype: torch.dtype) -> None:
    for length, side in ((8, 7), (7, 7), (2, 7), (31, 6)):
        expected = F.adaptive_avg_pool1d(torch.eye(length, dtype=dtype), side)
        assert torch.equal(resizing._regions(length, side, expected), expected)


def test_maps_of_the_right_size_pass_as_they_are() -> None:
    x = maps(7, 7)
    assert AverageTo(7)(x) is x
    assert resizing.bilinear_by_products(x, 7, 7) is x
