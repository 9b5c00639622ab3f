"""The sheet of training images as they are packed and as training varies them."""

import io

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from pipeline.assembly import augmentation_grid
from pipeline.assembly.transforms import train_transform
from pipeline.core.imagenet import MEAN, STD
from pipeline.core.recipe import Recipe
from pipeline.datasets.prepared.packed import Packed
from pipeline.training.images import Images

SIDE, STEP = augmentation_grid.SIDE, augmentation_grid.SIDE + augmentation_grid.GAP


def experiment(**data: object) -> Recipe:
    return tiny.experiment({f"data.{key}": value for key, value in data.items()})


def packed(images: int = 10, side: int = 64) -> Packed:
    pixels = np.random.default_rng(0).integers(0, 256, (images, 3, side, side), dtype=np.uint8)
    labels = np.zeros(images, np.int64)
    return Packed(pixels, [str(n) for n in range(images)], labels, ["a"], MEAN, STD, "")


def opened(sheet: bytes | None) -> Image.Image:
    assert sheet is not None
    return Image.open(io.BytesIO(sheet))


def tile(sheet: Image.Image, row: int, column: int) -> np.ndarray:
    left, top = STEP * column, STEP * row
    return np.asarray(sheet.crop((left, top, left + SIDE, top + SIDE)).convert("RGB"))


def enlarged(image: torch.Tensor) -> np.ndarray:
    """(3, 64, 64) as it stands on the sheet."""
    return image.to(torch.uint8).permute(1, 2, 0).repeat_interleave(2, 0).repeat_interleave(2, 1).numpy()


def test_each_row_begins_with_an_image_as_it_is_packed() -> None:
    data = packed()
    sheet = opened(
        augmentation_grid.augmented(experiment(image_size=64, augmentation="flip"), data, torch.arange(1, 9), repeat=1)
    )
    assert sheet.size == (6 * STEP - augmentation_grid.GAP, 4 * STEP - augmentation_grid.GAP)
    for row, shown in enumerate((1, 3, 5, 8)):
        np.testing.assert_array_equal(tile(sheet, row, 0), enlarged(torch.from_numpy(data.images[shown])))


def test_the_others_are_what_the_first_five_epochs_show() -> None:
    chosen, data = experiment(image_size=64, augmentation="flip"), packed()
    train = torch.arange(4)
    sheet = opened(augmentation_grid.augmented(chosen, data, train, repeat=7))
    view = train_transform(chosen)
    images = Images(data.images, torch.arange(10), mean=MEAN, std=STD, device=torch.device("cpu"), transform=view)
    order = torch.tensor([2, 0, 3, 1])
    for epoch in range(1, 6):
        random_parameters = images.random_parameters(order, seed=7, epoch=epoch)
        assert random_parameters is not None
        shown = view.train_transform(torch.from_numpy(data.images[order.numpy()]), random_parameters)
        for place, row in enumerate(order.tolist()):
            np.testing.assert_array_equal(tile(sheet, row, epoch), enlarged(shown[place]))


def test_a_random_crop_alone_is_shown_too() -> None:
    sheet = augmentation_grid.augmented(experiment(image_size=64, crop_size=48), packed(), torch.arange(10), repeat=1)
    assert len({tile(opened(sheet), 0, column).tobytes() for column in range(6)}) == 6


def test_the_same_repeat_gives_the_same_bytes_and_another_others() -> None:
    chosen, data = experiment(image_size=64, augmentation="animals"), packed()
    sheets = [augmentation_grid.augmented(chosen, data, torch.arange(10), repeat=repeat) for repeat in (1, 1, 2)]
    assert sheets[0] == sheets[1] != sheets[2]


@pytest.mark.parametrize(("side", "images"), [(16, 2), (224, 1)])
def test_small_and_large_images_and_few_of_them_have_their_sheet(side: int, images: int) -> None:
    chosen = experiment(image_size=side, input_size=max(side, 32), augmentation="flip")
    sheet = opened(augmentation_grid.augmented(chosen, packed(images, side), torch.arange(images), repeat=1))
    assert sheet.size == (6 * STEP - augmentation_grid.GAP, images * STEP - augmentation_grid.GAP)


def test_where_nothing_varies_there_is_no_sheet() -> None:
    assert augmentation_grid.augmented(experiment(image_size=64), packed(), torch.arange(10), repeat=1) is None
