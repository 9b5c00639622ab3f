"""Flips, crops and affine maps against torchvision's own functions, image by image, on float images."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandomResizedCrop
from torchvision.transforms.v2 import functional as reference

from pipeline.datasets.transforms.geometry import (
    TRIES,
    Box,
    Placement,
    affine,
    affine_crop,
    horizontal_flip,
    random_crop,
    resample,
    resized_crop_box,
)

BELOW_ONE = 1 - 2.0**-24
"""The largest number that torch.rand gives."""


def noise(count: int, side: int = 16) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def smooth(count: int, side: int = 64) -> Tensor:
    """Return waves of twenty pixels and more, which survive two interpolations."""
    places = torch.arange(side) / side * 6.28
    wave = torch.sin(2 * places)[:, None] * torch.cos(3 * places)[None, :]
    return (127 + 100 * wave).expand(count, 3, side, side).clone()


def nowhere(count: int) -> Placement:
    none = torch.zeros(count)
    return Placement(none, none, none, none + 1)


def whole_image(count: int, side: int) -> Box:
    none = torch.zeros(count)
    return Box(none, none, none + side, none + side)


def test_a_flip_mirrors_left_to_right_and_leaves_the_others() -> None:
    pixels = noise(2)
    flipped = horizontal_flip(pixels, torch.tensor([[0.1], [0.9]]))
    assert torch.equal(flipped[0], reference.horizontal_flip(pixels[0]))
    assert torch.equal(flipped[1], pixels[1])


@pytest.mark.parametrize(("size", "padding"), [(11, 0), (16, 4), (20, 3), (22, 3)])
def test_a_random_crop_is_torchvisions_pad_and_crop(size: int, padding: int) -> None:
    images, positions = noise(4), 16 + 2 * padding - size + 1
    tops, lefts = [0, positions // 2, 0, positions - 1], [0, 0, positions - 1, positions // 2]
    random_parameters = (torch.tensor([tops, lefts]).T + 0.5) / positions
    for ours, image, top, left in zip(
        random_crop(images, random_parameters, size=size, padding=padding), images, tops, lefts, strict=True
    ):
        assert torch.equal(ours, reference.crop(reference.pad(image, [padding]), top, left, size, size))


@pytest.mark.parametrize("side", [12, 13, 16, 17, 43])
def test_a_crop_stays_inside_for_the_smallest_and_the_largest_draw(side: int) -> None:
    images = noise(1, side)
    corners = [random_crop(images, torch.full((1, 2), draw), size=11, padding=0) for draw in (0.0, BELOW_ONE)]
    assert torch.equal(corners[0], images[:, :, :11, :11])
    assert torch.equal(corners[1], images[:, :, -11:, -11:])


def test_all_positions_of_a_crop_are_as_likely() -> None:
    images = torch.arange(36, dtype=torch.uint8).view(1, 1, 6, 6).expand(9000, 3, 6, 6)
    random_parameters = torch.rand(9000, 2, generator=torch.Generator().manual_seed(0))
    counts = random_crop(images, random_parameters, size=4, padding=0)[:, 0, 0, 0].unique(return_counts=True)[1]
    assert len(counts) == 9
    assert (counts - 1000).abs().max() < 5 * 1000**0.5


def test_a_placement_is_torchvisions_affine_with_each_images_own_values() -> None:
    images = noise(4, 21).float()
    placement = Placement(*torch.tensor([[0, 15, -170, 33], [0, 3, -2, 5], [0, -4, 0, 1], [1, 1, 0.8, 1.3]]).unbind(0))
    ours = resample(images, placement, whole_image(4, 21))
    for image, own, angle, right, down, zoom in zip(
        images, ours, *(value.tolist() for value in placement), strict=True
    ):
        theirs = reference.affine(image, angle, [right, down], zoom, [0, 0], interpolation=InterpolationMode.BILINEAR)
        # White noise: an offset of 1e-5 pixels changes up to 3e-3 of 255 gray values.
        torch.testing.assert_close(own, theirs, rtol=0, atol=5e-3)


def test_a_box_is_torchvisions_resized_crop_with_each_images_own_values() -> None:
    images = noise(3, 21).float()
    box = Box(*torch.tensor([[0.0, 2, 5], [0, 1, 0], [21, 19, 16], [21, 17, 21]]).unbind(0))
    ours = resample(images, nowhere(3), box)
    for image, own, *place in zip(images, ours, *(value.tolist() for value in box), strict=True):
        theirs = reference.resized_crop(image, *(int(value) for value in place), size=[21, 21], antialias=True)
        torch.testing.assert_close(own, theirs, rtol=0, atol=5e-3)


def test_one_interpolation_is_near_torchvisions_two() -> None:
    image = smooth(1)
    placement = Placement(*torch.tensor([[12.0], [2], [-3], [1.07]]).unbind(0))
    ours = resample(image, placement, Box(*torch.tensor([[6.0], [2], [54], [60]]).unbind(0)))
    turned = reference.affine(image, 12.0, [2, -3], 1.07, [0, 0], interpolation=InterpolationMode.BILINEAR)
    theirs = reference.resized_crop(turned, 6, 2, 54, 60, size=[64, 64])
    inside = (slice(None), slice(None), slice(16, -16), slice(16, -16))
    assert (ours - theirs)[inside].abs().max() < 3
    assert (ours - image)[inside].abs().max() > 50


def test_what_lies_outside_the_image_is_0() -> None:
    image = torch.full((1, 3, 20, 20), 200, dtype=torch.uint8)
    moved = resample(image, nowhere(1)._replace(right=torch.tensor([5.0])), whole_image(1, 20))
    assert moved[..., :5].abs().max() == 0
    assert moved[..., 5:].sub(200).abs().max() < 0.01


def test_draws_become_angle_move_and_zoom_as_described() -> None:
    images = noise(3, 20)
    random_parameters = torch.tensor([[0.0, 0.0, 1.0, 0.0], [1.0, 0.9, 0.5, 1.0], [0.5, 0.5, 0.5, 0.5]])
    placement = Placement(*torch.tensor([[-15, 15, 0], [-2, 2, 0], [2, 0, 0], [0.9, 1.1, 1]]).unbind(0))
    ours = affine(rotation=15, translation=0.1, scale=0.1).apply(images, random_parameters)
    torch.testing.assert_close(ours, resample(images, placement, whole_image(3, 20)), rtol=0, atol=5e-3)


def test_a_box_has_the_area_the_ratio_and_the_place_that_are_drawn() -> None:
    random_parameters = torch.full((2, 2 * TRIES + 2), 0.5)
    random_parameters[:, TRIES] = torch.tensor([0.6, 0.4])
    random_parameters[:, -2:] = torch.tensor([[0.0, BELOW_ONE], [BELOW_ONE, 0.0]])
    box = resized_crop_box(random_parameters, 100, scale=0.8, ratio=1.25)
    long, short = round((9000 * 1.25**0.2) ** 0.5), round((9000 / 1.25**0.2) ** 0.5)
    assert [value.tolist() for value in box] == [[0, 100 - long], [100 - long, 0], [short, long], [long, short]]


def test_a_box_is_the_first_try_that_fits_and_the_whole_image_where_none_does() -> None:
    random_parameters = torch.zeros(2, 2 * TRIES + 2)
    random_parameters[:, :TRIES] = BELOW_ONE
    random_parameters[0, 3:5] = torch.tensor([0.0, 0.5])
    random_parameters[0, TRIES + 3 : TRIES + 5] = 0.5
    box = resized_crop_box(random_parameters, 100, scale=0.64, ratio=1.25)
    assert [value.tolist() for value in box] == [[0, 0], [0, 0], [80, 100], [80, 100]]


def test_boxes_are_distributed_as_torchvisions() -> None:
    torch.manual_seed(0)
    transform = RandomResizedCrop(100, scale=(0.8, 1.0), ratio=(1 / 1.25, 1.25))
    boxes = [transform.make_params([torch.zeros(3, 100, 100)]) for _ in range(4000)]
    theirs = torch.tensor([[own["top"], own["left"], own["height"], own["width"]] for own in boxes]).double()
    ours = torch.stack(resized_crop_box(torch.rand(100_000, 2 * TRIES + 2), 100, scale=0.8, ratio=1.25), 1).double()
    for moment in (1, 2):
        error = (theirs**moment).std(0) / 4000**0.5
        assert ((ours**moment).mean(0) - (theirs**moment).mean(0)).abs().lt(5 * error).all()


def test_strength_0_leaves_images_untouched() -> None:
    images = noise(2)
    crop = affine_crop(rotation=0, translation=0, scale=0, crop_scale=1, crop_ratio=1)
    for augmentation in (affine(rotation=0), crop):
        assert torch.equal(augmentation.apply(images, torch.rand(2, augmentation.random_parameters)), images)


def test_a_map_that_changes_nothing_gives_the_same_pixels() -> None:
    images = noise(2, 33)
    same = resample(images, nowhere(2), whole_image(2, 33))
    torch.testing.assert_close(same, images.float(), rtol=0, atol=5e-3)
