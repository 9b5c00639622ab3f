import numpy as np
import torch

from pipeline.datasets.transforms import AUGMENTATIONS, horizontal_flip
from pipeline.training.images import Images

CPU = torch.device("cpu")
ARRAY = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
ROWS = torch.arange(50)


def images(augmentation: str = "none") -> Images:
    return Images(
        ARRAY,
        ROWS,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        device=CPU,
        augmentation=AUGMENTATIONS[augmentation],
    )


def test_a_batch_is_scaled_and_normalised_as_imagenet_is() -> None:
    batch = images().batch(torch.tensor([4, 2]))
    assert batch.shape == (2, 3, 8, 8)
    by_hand = (ARRAY[2, 1, 3, 5] / 255 - 0.456) / 0.224
    assert abs(batch[1, 1, 3, 5].item() - by_hand) < 1e-6


def test_a_flip_mirrors_left_to_right_and_leaves_the_others() -> None:
    pixels = torch.from_numpy(ARRAY[:2])
    flipped = horizontal_flip(pixels, torch.tensor([[0.1], [0.9]]))
    assert torch.equal(flipped[0], pixels[0].flip(-1))
    assert torch.equal(flipped[1], pixels[1])


def test_images_of_one_batch_are_varied_each_for_itself() -> None:
    source = images("flip")
    draws = source.draws(1, 1)
    plain, varied = source.batch(ROWS), source.batch(ROWS, draws)
    flipped = [not torch.equal(a, b) for a, b in zip(plain, varied, strict=True)]
    assert 10 < sum(flipped) < 40


def test_draws_are_the_same_at_any_batch_size_and_differ_by_epoch_and_seed() -> None:
    source = images("flip")
    draws = source.draws(1, 1)
    whole = source.batch(ROWS, draws)
    pieces = torch.cat([source.batch(rows, source.draws(1, 1)) for rows in ROWS.split(7)])
    assert torch.equal(whole, pieces)
    for seed, epoch in ((1, 2), (2, 1)):
        assert not torch.equal(whole, source.batch(ROWS, source.draws(seed, epoch)))


def test_without_augmentation_there_are_no_draws() -> None:
    assert images().draws(1, 1) is None
