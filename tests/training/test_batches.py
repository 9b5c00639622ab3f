import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.training.images import Images, ImageTransform

CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ARRAY = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
ROWS = torch.arange(50)


class Shifted:
    """Transform to the upper left quarter, shifted to the right in training by the first random parameter."""

    def __init__(self, random_parameters: int = 2) -> None:
        self.random_parameters = random_parameters

    def eval_transform(self, images: Tensor) -> Tensor:
        return images[..., :4, :4]

    def train_transform(self, images: Tensor, random_parameters: Tensor) -> Tensor:
        assert random_parameters.shape == (len(images), self.random_parameters)
        starts = (random_parameters[:, 0] * 5).long().tolist()
        pairs = zip(images, starts, strict=True)
        return torch.stack([image[:, :4, start : start + 4] for image, start in pairs]).float()


def images(transform: ImageTransform | None = None) -> Images:
    return Images(ARRAY, ROWS, mean=MEAN, std=STD, device=CPU, transform=transform)


def test_a_batch_is_scaled_and_normalized_as_imagenet_is() -> None:
    batch = images().batch(torch.tensor([4, 2]))
    assert batch.shape == (2, 3, 8, 8)
    by_hand = (ARRAY[2, 1, 3, 5] / 255 - 0.456) / 0.224
    assert abs(batch[1, 1, 3, 5].item() - by_hand) < 1e-6


def test_without_random_parameters_the_eval_transform_applies() -> None:
    assert torch.equal(images(Shifted()).batch(ROWS), images().batch(ROWS)[..., :4, :4])


@pytest.mark.parametrize("varied", [False, True])
def test_a_batch_is_of_float_and_has_its_channels_last(varied: bool) -> None:
    reference = images(Shifted())
    batch = reference.batch(ROWS, reference.random_parameters(ROWS, seed=1, epoch=1) if varied else None)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_each_image_of_a_batch_has_its_own_random_parameters() -> None:
    reference = images(Shifted())
    random_parameters = reference.random_parameters(ROWS, seed=1, epoch=1)
    assert random_parameters is not None
    varied, plain = reference.batch(ROWS, random_parameters), images().batch(ROWS)
    for row, start in enumerate((random_parameters[:, 0] * 5).long().tolist()):
        assert torch.equal(varied[row], plain[row, :, :4, start : start + 4])


def test_random_parameters_are_the_same_at_any_batch_size_and_differ_by_epoch_and_seed() -> None:
    reference = images(Shifted())
    random_parameters = reference.random_parameters(ROWS, seed=1, epoch=1)
    assert random_parameters is not None
    whole = reference.batch(ROWS, random_parameters)
    pieces = torch.cat([reference.batch(r, d) for r, d in zip(ROWS.split(7), random_parameters.split(7), strict=True)])
    assert torch.equal(whole, pieces)
    for seed, epoch in ((1, 2), (2, 1)):
        assert not torch.equal(whole, reference.batch(ROWS, reference.random_parameters(ROWS, seed=seed, epoch=epoch)))


def test_an_images_random_parameters_do_not_depend_on_the_order() -> None:
    reference = images(Shifted())
    random_parameters, turned = (reference.random_parameters(rows, seed=1, epoch=1) for rows in (ROWS, ROWS.flip(0)))
    assert random_parameters is not None
    assert turned is not None
    assert torch.equal(random_parameters, turned.flip(0))


def test_a_repeated_image_has_new_random_parameters() -> None:
    random_parameters = images(Shifted()).random_parameters(torch.tensor([3, 3, 3, 5]), seed=1, epoch=1)
    assert random_parameters is not None
    assert random_parameters.shape == (4, 2)
    assert len({tuple(row) for row in random_parameters.tolist()}) == 4


def test_random_parameters_are_as_many_as_the_transform_takes() -> None:
    assert images().random_parameters(ROWS, seed=1, epoch=1) is None
    assert images(Shifted(random_parameters=0)).random_parameters(ROWS, seed=1, epoch=1) is None
    assert images(Shifted(random_parameters=3)).random_parameters(ROWS, seed=1, epoch=1).shape == (50, 3)


def test_images_vary_only_with_a_random_transform() -> None:
    assert [images(one).varies for one in (None, Shifted(random_parameters=0), Shifted())] == [False, False, True]
