"""Augmentation policies of torchvision, which draw operations of their own: each image by its own seed."""

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.core.vision import policies
from pipeline.datasets.transforms.augmentation import Augmentation, whole
from pipeline.datasets.transforms.geometry import FLIP

# The values that a uniform float32 number can have.
SEEDS = 2**24


def trivial_augment() -> tuple[Augmentation, ...]:
    """Build a flip, then one operation of random strength (TrivialAugment, wide; Müller and Hutter 2021)."""
    return (FLIP, per_image(policies().TrivialAugmentWide()))


def rand_augment(*, operations: int, magnitude: int) -> tuple[Augmentation, ...]:
    """Build a flip, then random operations of one strength (RandAugment; Cubuk et al. 2020).

    Args:
        operations: number of them.
        magnitude: of 0..30.
    """
    return (FLIP, per_image(policies().RandAugment(num_ops=operations, magnitude=magnitude)))


def per_image(policy: Callable[[Tensor], Tensor]) -> Augmentation:
    """Build an augmentation of one random parameter, the seed of torch's random numbers for the policy.

    It computes on the CPU, where its operations are deterministic, and leaves torch's random state as it was.

    Args:
        policy: takes an image (3, S, S), uint8, and returns one of the same type and shape.
    """

    def apply(images: Tensor, random_parameters: Tensor) -> Tensor:
        seeds = whole(random_parameters[:, 0].double(), SEEDS).long().tolist()
        varied = []
        with torch.random.fork_rng(devices=[]):
            for image, seed in zip(images, seeds, strict=True):
                torch.default_generator.manual_seed(seed)
                varied.append(policy(image))
        return torch.stack(varied)

    return Augmentation(random_parameters=1, apply=apply, computes_on_cpu=True)
