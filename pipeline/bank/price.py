"""How long a frozen network of the bank is going to take, measured on a few of its images before it is paid."""

import time

import numpy as np
import torch

from pipeline.bank import bank, features, folds, nested
from pipeline.bank.bank import Images
from pipeline.bank.features import BATCH, Frozen
from pipeline.bank.folds import Examples
from pipeline.core.seeding import cores

# Made-up features: how fast the spread of their axes falls, and how far apart classes are, of that spread. So made,
# the fits of one division take about as long as on those of ResNet-18 on photographs.
DECAY, APART = 0.6, 0.3


def seconds(frozen: Frozen, images: Images) -> float:
    """Return about how many seconds `bank.measured` takes: 0 where the store has all of it.

    Args:
        frozen: the network; a batch of images goes through it where some are missing.
        images: the training images.
    """
    missing = features.missing(frozen, images.sha256)
    if not missing and bank.is_measured(frozen, images):
        return 0.0
    started = time.perf_counter()
    sample = (missing or list(range(len(images.sha256))))[:BATCH]
    with images.open(sample) as packed:
        opened = time.perf_counter() - started
        values, rate = features.compute(frozen, packed, torch.arange(len(sample)))
    starting = time.perf_counter() - started - opened - len(sample) / rate
    # A few images are decoded on one core, many on all.
    decoding = opened / len(sample) / cores() * len(missing)
    network = starting + len(missing) / rate if missing else 0.0
    return decoding + network + _fits(images, values.shape[1])


def _fits(images: Images, width: int) -> float:
    """Return about how many seconds the classifiers take, by one part of their nested cross-validation."""
    examples = Examples(made_up(images.labels, width), images.labels, images.groups)
    divided = folds.folds(examples.labels, examples.groups, seed=folds.SEED)
    started = time.perf_counter()
    nested.accuracies(examples, divided[0])
    # The parts on all cores, then once on all images.
    return (time.perf_counter() - started) * (len(divided) / cores() + 1)


def made_up(labels: folds.IntArray, width: int) -> folds.FloatArray:
    """Return features (n, D) on which a classifier takes about as long as on a network's.

    Args:
        labels: (n,) number of each image's class, from 0.
        width: D.
    """
    rng = np.random.default_rng(0)
    axes = min(len(labels), width)
    spread = np.arange(1, axes + 1) ** -DECAY
    classes = APART * rng.normal(size=(labels.max() + 1, axes))
    values = (rng.normal(size=(len(labels), axes)) + classes[labels]) * spread @ rng.normal(size=(axes, width))
    return values.astype(np.float32)
