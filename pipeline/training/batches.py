"""The batches of an epoch, copied to the device once an epoch: rows, labels, random parameters, and mixing."""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.training import mixing
from pipeline.training.contract import Examples, TrainingPlan
from pipeline.training.features import Features
from pipeline.training.images import Images
from pipeline.training.mixing import Mix


class Batch(NamedTuple):
    """The input of a step.

    Attributes:
        labels: class numbers (n,), on the device.
        rows: (n,), where `Features` looks them up.
        parameters: random parameters (n, P) of the train transform, where it computes; None without any.
        mix: how the images are mixed; None where they are not.
    """

    labels: Tensor
    rows: Tensor
    parameters: Tensor | None
    mix: Mix | None

    @property
    def varies(self) -> bool:
        """Whether the images are others than those that are packed."""
        return self.parameters is not None or self.mix is not None


def varies(images: Images, plan: TrainingPlan) -> bool:
    """Return whether a training image differs from epoch to epoch."""
    return images.varies or mixing.is_on(plan)


def of_epoch(
    features: Features, examples: Examples, plan: TrainingPlan, steps: list[Tensor], *, seed: int, epoch: int
) -> list[Batch]:
    """Return the batch of each step; the variation of images follows from the seed of the run and the epoch.

    A step is then free of copies to the device and waits for none: its tensors are parts of the epoch's. Two are the
    exception, see `Images`: images that are not on the device, and those whose augmentation computes on the CPU.

    Args:
        features: where images, or what the frozen layers make of them, are read.
        examples: the images and their labels.
        plan: whether images are mixed.
        steps: rows (n,) of each step, on the CPU.
        seed: of the run.
        epoch: counted from 1.
    """
    images, rows, sizes = examples.images, torch.cat(steps), [len(step) for step in steps]
    parameters = images.random_parameters(rows, seed=seed, epoch=epoch)
    placed, parameters = features.placed(rows, parameters, mixed=mixing.is_on(plan))
    labels = examples.labels[rows].to(images.device)
    by_step = [None] * len(steps) if parameters is None else parameters.split(sizes)
    mixes = mixing.draw(plan, len(steps), side=images.side, seed=seed, epoch=epoch)
    parts = zip(labels.split(sizes), placed.split(sizes), by_step, mixes, strict=True)
    return [Batch(*part) for part in parts]
