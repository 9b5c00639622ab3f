"""Weights of attention that follow from an image alone, and not from its place in a batch."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from pipeline.networks.attention.hierarchical import HierarchicalAttention
from pipeline.networks.attention.steady import BLOCK, sigmoid


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def features(*shape: int) -> tuple[Tensor, Tensor]:
    """Return features of images, and another order of the images."""
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(*shape, generator=generator), torch.randperm(shape[0], generator=generator)


@pytest.mark.parametrize("shape", [(16, 1, 3, 3), (7, 5), (1, 1), (33, 1, 56, 55), (3, BLOCK + 1)])
@pytest.mark.usefixtures("threads")
def test_no_element_follows_from_its_place(shape: tuple[int, ...]) -> None:
    z, order = features(*shape)
    with torch.no_grad():
        assert torch.equal(sigmoid(z)[order], sigmoid(z[order]))
        assert torch.allclose(sigmoid(z), torch.sigmoid(z), rtol=1e-6, atol=0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.usefixtures("threads")
def test_an_image_is_weighed_alike_at_any_place_of_its_batch(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    module = HierarchicalAttention(64).eval()
    for side in (3, 6, 12):
        x, order = features(16, 64, side, side)
        x = x.contiguous(memory_format=layout)
        with torch.no_grad():
            assert torch.equal(module(x)[order], module(x[order]))


def test_a_training_has_the_plain_function() -> None:
    z, _ = features(16, 1, 3, 3)
    assert torch.equal(sigmoid(z.requires_grad_()), torch.sigmoid(z))
