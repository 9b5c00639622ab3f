"""The variation of the images of each batch of an epoch: random parameters of the train transform, and mixing."""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.training import mixing
from pipeline.training.contract import TrainingPlan
from pipeline.training.images import Images
from pipeline.training.mixing import Mix


class Variation(NamedTuple):
    """Of one batch: the random parameters (n, P) of its images, and how they are mixed; None where nothing is."""

    parameters: Tensor | None
    mix: Mix | None

    @property
    def is_none(self) -> bool:
        """Whether the images are as they are packed."""
        return self.parameters is None and self.mix is None


def varies(images: Images, plan: TrainingPlan) -> bool:
    """Return whether a training image differs from epoch to epoch."""
    return images.varies or mixing.is_on(plan)


def of_epoch(images: Images, plan: TrainingPlan, batches: list[Tensor], *, seed: int, epoch: int) -> list[Variation]:
    """Return the variation of each batch; it follows from the seed of the run and the epoch, counted from 1."""
    parameters = images.random_parameters(torch.cat(batches), seed=seed, epoch=epoch)
    sizes = [len(rows) for rows in batches]
    by_batch = [None] * len(sizes) if parameters is None else parameters.split(sizes)
    mixes = mixing.draw(plan, len(sizes), side=images.side, seed=seed, epoch=epoch)
    return [Variation(*one) for one in zip(by_batch, mixes, strict=True)]
