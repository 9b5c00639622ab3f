"""torchvision's augmentation policies: each image by its own seed, and as torchvision alone has it."""

import pytest
import torch
from torch import Tensor

from pipeline.core.vision import policies
from pipeline.datasets.transforms.image_transform import build_transform

OPTIONS: dict[str, dict[str, float]] = {"trivial_augment": {}, "rand_augment": {"operations": 2, "magnitude": 9}}


def images(count: int) -> Tensor:
    torch.manual_seed(0)
    return torch.randint(256, (count, 3, 16, 16), dtype=torch.uint8)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_image_is_varied_by_its_own_numbers_whatever_is_beside_it(name: str) -> None:
    transform = build_transform(
        image_size=16, crop_size=16, crop_padding=0, input_size=16, augmentation=name, options=OPTIONS[name]
    )
    packed = images(24)
    numbers = torch.rand(24, transform.random_parameters)
    before = torch.get_rng_state()
    # Images that are copied back from a GPU would make each step wait for it.
    assert transform.computes_on_cpu
    varied = transform.train_transform(packed, numbers)
    assert torch.equal(torch.get_rng_state(), before)
    assert varied.dtype == torch.uint8
    alone = torch.cat([transform.train_transform(packed[n : n + 1], numbers[n : n + 1]) for n in range(24)])
    assert torch.equal(varied, alone)
    # Of the same image with other numbers, most are others.
    others = transform.train_transform(packed[:1].expand(24, -1, -1, -1), numbers)
    assert len({image.numpy().tobytes() for image in others}) > 12


@pytest.mark.parametrize("name", OPTIONS)
def test_an_image_is_what_torchvision_makes_of_it_from_the_same_seed(name: str) -> None:
    v2 = policies()
    policy = v2.TrivialAugmentWide() if name == "trivial_augment" else v2.RandAugment(num_ops=2, magnitude=9)
    transform = build_transform(
        image_size=16, crop_size=16, crop_padding=0, input_size=16, augmentation=name, options=OPTIONS[name]
    )
    packed = images(8)
    # Numbers of one half and more do not flip.
    numbers = torch.stack([torch.full((8,), 0.5), torch.arange(8) / 2**24], dim=1)
    expected = []
    for seed, image in enumerate(packed):
        torch.manual_seed(seed)
        expected.append(policy(image))
    assert torch.equal(transform.train_transform(packed, numbers), torch.stack(expected))
