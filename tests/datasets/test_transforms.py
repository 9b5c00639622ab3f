"""Eval and train transforms (crop, augmentation, input size) against torchvision's own functions."""

from typing import Any

import pytest
import torch
from test_policies import OPTIONS as POLICIES
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from pipeline.core.errors import InputError
from pipeline.datasets.transforms import image_transform
from pipeline.datasets.transforms.image_transform import ImageTransform, build_transform
from pipeline.datasets.transforms.table import AUGMENTATIONS

JITTER = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}
OPTIONS: dict[str, dict[str, float]] = {
    "none": {},
    "flip": {},
    "csca": {**JITTER, "rotation": 15},
    "hierarchical": {**JITTER, "rotation": 15, "scale": 0.1},
    "animals": {"rotation": 15, "translation": 0.1, "scale": 0.1, "crop_scale": 0.8, "crop_ratio": 1.25},
}
NOTHING = {"crop_scale": 1.0, "crop_ratio": 1.0}
VARYING = sorted(OPTIONS.keys() - {"none"})
EVERY_OPTION = [(augmentation, option) for augmentation, options in OPTIONS.items() for option in options]


def build(augmentation: str = "none", **changes: Any) -> ImageTransform:
    sizes = {"image_size": 24, "crop_size": 24, "crop_padding": 0, "input_size": 24}
    return build_transform(**{**sizes, "augmentation": augmentation, "options": OPTIONS[augmentation], **changes})


def pictures(count: int, side: int = 24) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def random_parameters(count: int, transform: ImageTransform) -> Tensor:
    return torch.rand(count, transform.random_parameters, generator=torch.Generator().manual_seed(1))


def test_every_augmentation_is_tested_with_all_its_options() -> None:
    rows = {name: set(row.options_type.model_fields if row.options_type else ()) for name, row in AUGMENTATIONS.items()}
    tested = {name: set(options) for name, options in {**OPTIONS, **POLICIES}.items()}
    assert tested == rows | {"none": set()}


@pytest.mark.parametrize("augmentation", sorted(OPTIONS))
def test_images_that_nothing_crops_or_resizes_are_untouched_in_testing(augmentation: str) -> None:
    images = pictures(2)
    assert build(augmentation).eval_transform(images) is images


def test_testing_shows_the_centre_resized_as_torchvision_does() -> None:
    images = pictures(3)
    actual = build("csca", crop_size=19, input_size=11).eval_transform(images)
    center = reference.center_crop(images, [19]).float()
    by_hand = torch.stack([reference.resize(image, [11], antialias=True) for image in center])
    torch.testing.assert_close(actual, by_hand, rtol=0, atol=1e-4)


def test_a_centre_that_needs_no_resizing_stays_uint8() -> None:
    images = pictures(2)
    assert torch.equal(build(crop_size=16, input_size=16).eval_transform(images), images[..., 4:20, 4:20])


def test_nothing_is_random_without_crop_and_augmentation() -> None:
    assert build().random_parameters == 0
    assert build(input_size=48).random_parameters == 0
    assert build(crop_size=28, crop_padding=2).random_parameters == 0


def test_the_only_place_of_a_crop_as_large_as_the_padded_image_is_also_the_one_of_the_eval_transform() -> None:
    images = pictures(1)
    assert torch.equal(
        build(crop_size=28, crop_padding=2, input_size=28).eval_transform(images), reference.pad(images, [2])
    )


def test_a_flip_without_crop_takes_the_only_draw_and_keeps_uint8() -> None:
    images, transform = pictures(40), build("flip")
    own = random_parameters(40, transform)
    assert own.shape == (40, 1)
    expected = torch.stack([image.flip(-1) if draw < 0.5 else image for image, draw in zip(images, own, strict=True)])
    assert torch.equal(transform.train_transform(images, own), expected)


def test_a_crop_without_augmentation_is_torchvisions_at_a_place_of_each_images_own() -> None:
    images = pictures(8, side=64)
    transform = build(image_size=64, crop_size=56, input_size=56)
    own = random_parameters(8, transform)
    places = (own * 9).long().tolist()
    by_hand = torch.stack([reference.crop(image, *place, 56, 56) for image, place in zip(images, places, strict=True)])
    assert torch.equal(transform.train_transform(images, own), by_hand)
    assert len({tuple(place) for place in places}) > 1


def test_training_shows_random_padded_crops_flipped_and_resized() -> None:
    images, transform = pictures(2), build("flip", crop_padding=4, input_size=30)
    own = torch.tensor([[0.0, 0.999, 0.1], [0.5, 0.25, 0.9]])
    padded = reference.pad(images.float(), [4])
    first, second = padded[0, :, :24, 8:].flip(-1), padded[1, :, 4:28, 2:26]
    expected = [reference.resize(image, [30], antialias=True) for image in (first, second)]
    torch.testing.assert_close(transform.train_transform(images, own), torch.stack(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("augmentation", VARYING)
def test_each_image_of_a_batch_is_transformed_by_its_own_random_parameters(augmentation: str) -> None:
    transform = build(augmentation)
    images = pictures(1).expand(30, -1, -1, -1)
    transformed = transform.train_transform(images, random_parameters(30, transform)).float()
    assert len(transformed.flatten(1).unique(dim=0)) == (2 if augmentation == "flip" else 30)


@pytest.mark.parametrize("augmentation", sorted(OPTIONS))
def test_the_same_draws_give_the_same_images_at_any_batch_size(
    augmentation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = build(augmentation, crop_padding=3, input_size=32)
    images, own = pictures(17), random_parameters(17, transform)
    whole = transform.train_transform(images, own)
    assert not transform.computes_on_cpu
    for size in (1, 5):
        pieces = [transform.train_transform(*pair) for pair in zip(images.split(size), own.split(size), strict=True)]
        torch.testing.assert_close(torch.cat(pieces) / 255, whole / 255, rtol=0, atol=1e-6)
    monkeypatch.setattr(image_transform, "CPU_CHUNK_PIXELS", 1)
    torch.testing.assert_close(transform.train_transform(images, own) / 255, whole / 255, rtol=0, atol=1e-6)


@pytest.mark.parametrize("augmentation", ["csca", "hierarchical", "animals"])
def test_at_strength_0_only_the_flip_is_left(augmentation: str) -> None:
    neutral = {name: NOTHING.get(name, 0.0) for name in OPTIONS[augmentation]}
    transform, images = build(augmentation, options=neutral), pictures(30)
    transformed = transform.train_transform(images, random_parameters(30, transform))
    mirrored = [torch.equal(image, other.flip(-1)) for image, other in zip(transformed, images, strict=True)]
    same = [torch.equal(image, other) for image, other in zip(transformed, images, strict=True)]
    assert all(one != other for one, other in zip(mirrored, same, strict=True))
    assert 5 < sum(mirrored) < 25


@pytest.mark.parametrize(("augmentation", "option"), EVERY_OPTION)
def test_every_option_does_something(augmentation: str, option: str) -> None:
    images, own = pictures(8), random_parameters(8, build(augmentation))
    without = build(augmentation, options={**OPTIONS[augmentation], option: NOTHING.get(option, 0.0)})
    difference = build(augmentation).train_transform(images, own).float() - without.train_transform(images, own).float()
    assert difference.abs().max() > 3


@pytest.mark.parametrize("augmentation", sorted(OPTIONS))
def test_an_option_that_would_do_nothing_is_refused(augmentation: str) -> None:
    with pytest.raises(TypeError, match="shear"):
        build(augmentation, options={**OPTIONS[augmentation], "shear": 1.0})


@pytest.mark.parametrize("augmentation", sorted(OPTIONS))
def test_mixed_precision_changes_no_pixel(augmentation: str) -> None:
    transform, images = build(augmentation, crop_padding=2, input_size=30), pictures(3)
    plain = transform.train_transform(images, random_parameters(3, transform))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = transform.train_transform(images, random_parameters(3, transform))
    assert torch.equal(mixed, plain)


@pytest.mark.parametrize("augmentation", sorted(OPTIONS))
def test_transformed_images_keep_to_the_range_of_pixels(augmentation: str) -> None:
    transform = build(augmentation, crop_padding=2)
    transformed = transform.train_transform(pictures(20), random_parameters(20, transform))
    assert transformed.shape == (20, 3, 24, 24)
    assert transformed.min() >= 0
    assert transformed.max() < 255.01


def test_an_unknown_augmentation_lists_the_known_ones() -> None:
    known = "flip, csca, hierarchical, animals, trivial_augment, rand_augment"
    with pytest.raises(InputError, match=rf"^augmentation: 'mixup' is not known; known: {known}$"):
        build_transform(image_size=8, crop_size=8, crop_padding=0, input_size=8, augmentation="mixup", options={})


def test_a_crop_that_does_not_fit_tells_the_largest_that_does() -> None:
    with pytest.raises(
        InputError,
        match=r"^crop_size: 29 does not fit into images of 24 \(image_size\) with 2 \(crop_padding\) around them; "
        "the largest that does is 28$",
    ):
        build(crop_size=29, crop_padding=2)
