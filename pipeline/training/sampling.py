"""Order of the training images in an epoch, and class weights of the loss."""

import torch
from torch import Tensor
from torch.utils.data import WeightedRandomSampler

from pipeline.core import seeding
from pipeline.training.contract import Examples, TrainingPlan


def order(examples: Examples, plan: TrainingPlan, *, seed: int, epoch: int) -> Tensor:
    """Return the rows (n,) of an epoch in its own random order; epochs are counted from 1."""
    generator = torch.Generator().manual_seed(seeding.derive("order", seed, epoch - 1))
    if plan.sampler == "shuffle":
        return examples.train[torch.randperm(len(examples.train), generator=generator)]
    labels = examples.labels[examples.train]
    probabilities = (1.0 / torch.bincount(labels).double())[labels].tolist()
    # Classes are equally likely, and so are the images within a class.
    draws = list(WeightedRandomSampler(probabilities, len(labels), generator=generator))
    return examples.train[torch.tensor(draws)]


def class_weights(examples: Examples, plan: TrainingPlan) -> Tensor | None:
    """Return the weight of each class (K,) in the loss, from the training rows alone; 1 for a class without any."""
    if plan.class_weights == "none":
        return None
    counts = torch.bincount(examples.labels[examples.train], minlength=int(examples.labels.max()) + 1)
    weights = len(examples.train) / (len(counts) * counts.clamp(min=1).float())
    return torch.where(counts > 0, weights, 1.0).to(examples.images.device)
