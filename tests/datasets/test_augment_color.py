"""Color jitter against torchvision's own functions, image by image, on float images."""

from itertools import permutations

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from pipeline.datasets.transforms.color import (
    BRIGHTNESS,
    CONTRAST,
    HUE,
    SATURATION,
    adjust_hue,
    blend,
    color_jitter,
    jitter,
)

ADJUST = {
    BRIGHTNESS: reference.adjust_brightness,
    CONTRAST: reference.adjust_contrast,
    SATURATION: reference.adjust_saturation,
    HUE: reference.adjust_hue,
}
STRENGTHS = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}


def pictures(count: int, side: int = 12) -> Tensor:
    """Return random pixels, some of them gray, black, white or pure colors: the special cases of hue."""
    images = torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0))
    special = [(0, 0, 0), (255, 255, 255), (7, 7, 7), (255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 3), (3, 9, 9)]
    images[:, :, 0, : len(special)] = torch.tensor(special).T
    return images.float()


def close(ours: Tensor, theirs: Tensor, *, operations: int = 1) -> None:
    """Compare in 0..1, where float32 has steps up to 6e-8, with a dozen of them per operation."""
    torch.testing.assert_close(ours / 255, theirs, rtol=0, atol=operations * 1e-6)


@pytest.mark.parametrize("kind", [BRIGHTNESS, CONTRAST, SATURATION])
def test_a_blend_is_torchvisions_adjustment_with_each_images_own_factor(kind: int) -> None:
    images, factors = pictures(5), torch.tensor([0.0, 0.4, 1.0, 1.3, 3.0])
    ours = blend(images, torch.full((5,), kind), factors)
    close(ours, torch.stack([ADJUST[kind](x / 255, f) for x, f in zip(images, factors.tolist(), strict=True)]))


def test_images_of_one_batch_are_blended_with_what_each_asks_for() -> None:
    images, kinds = pictures(3), torch.tensor([SATURATION, BRIGHTNESS, CONTRAST])
    ours = blend(images, kinds, torch.full((3,), 0.7))
    close(ours, torch.stack([ADJUST[kind](x / 255, 0.7) for x, kind in zip(images, kinds.tolist(), strict=True)]))


def test_factor_1_leaves_every_digit() -> None:
    images = pictures(4) / 3
    assert torch.equal(blend(images, torch.tensor([BRIGHTNESS, CONTRAST, SATURATION, HUE]), torch.ones(4)), images)


def test_a_turned_hue_is_torchvisions() -> None:
    images, shifts = pictures(5), torch.tensor([-0.5, -0.1, 0.0, 0.27, 0.5])
    ours = adjust_hue(images, shifts)
    close(ours, torch.stack([reference.adjust_hue(x / 255, s) for x, s in zip(images, shifts.tolist(), strict=True)]))


def test_all_orders_are_torchvisions_in_one_batch() -> None:
    orders = list(permutations(range(4)))
    images, generator = pictures(len(orders)), torch.Generator().manual_seed(1)
    factors = 0.6 + 0.8 * torch.rand(len(orders), 4, generator=generator)
    factors[:, HUE] = torch.rand(len(orders), generator=generator) - 0.5
    ours = jitter(images, factors, torch.tensor(orders))
    theirs = images / 255
    for image, order, own in zip(theirs, orders, factors.tolist(), strict=True):
        for kind in order:
            image.copy_(ADJUST[kind](image.clone(), own[kind]))
    close(ours, theirs, operations=4)


def test_orders_differ_from_each_other() -> None:
    images = pictures(1).expand(2, -1, -1, -1)
    factors = torch.tensor([1.4, 0.5, 1.6, 0.3]).expand(2, -1)
    first, second = jitter(images, factors, torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0]]))
    assert (first - second).abs().max() > 10


def test_draws_become_factors_and_an_order_as_described() -> None:
    images = pictures(1)
    random_parameters = torch.tensor([[0.0, 0.25, 0.75, 1.0, 0.3, 0.1, 0.9, 0.5]])
    factors = torch.tensor([[0.8, 0.9, 1.1, 0.1]])
    expected = jitter(images, factors, torch.tensor([[CONTRAST, BRIGHTNESS, HUE, SATURATION]]))
    augmentation = color_jitter(**STRENGTHS)
    torch.testing.assert_close(augmentation.apply(images, random_parameters), expected, rtol=0, atol=1e-4)


def test_a_factor_is_never_below_0() -> None:
    augmentation = color_jitter(brightness=3.0, contrast=0.0, saturation=0.0, hue=0.0)
    dark = augmentation.apply(torch.full((1, 3, 4, 4), 60.0), torch.zeros(1, 8))
    bright = augmentation.apply(torch.full((1, 3, 4, 4), 60.0), torch.full((1, 8), 0.5))
    assert dark.unique().tolist() == pytest.approx([0.0], abs=1e-3)
    assert bright.unique().tolist() == pytest.approx([120.0], abs=1e-3)


def test_all_orders_are_as_likely() -> None:
    random_parameters = torch.rand(24_000, 4, generator=torch.Generator().manual_seed(0))
    counts = random_parameters.argsort(dim=1, stable=True).unique(dim=0, return_counts=True)[1]
    assert len(counts) == 24
    assert (counts - 1000).abs().max() < 5 * 1000**0.5


def test_strength_0_leaves_whole_images_untouched() -> None:
    images = pictures(2).byte()
    augmentation = color_jitter(brightness=0, contrast=0, saturation=0, hue=0)
    assert torch.equal(augmentation.apply(images, torch.rand(2, 8)), images)


def test_the_input_images_are_not_written_to() -> None:
    images = pictures(2)
    before = images.clone()
    color_jitter(**STRENGTHS).apply(images, torch.rand(2, 8))
    assert torch.equal(images, before)
