"""Caches of a phase: what it computes once, before its first step, from images that are the same in every epoch."""

import torch

from pipeline.core.precision import autocast
from pipeline.training.contract import Examples, LossTerm
from pipeline.training.features import FeatureCache, Features, Runnable
from pipeline.training.optim import LoopSettings
from pipeline.training.resuming import Keeper


def prefix_features(
    network: Runnable, examples: Examples, settings: LoopSettings, keeper: Keeper, *, varies: bool
) -> Features:
    """Return the frozen prefix's features, cached for rows that are the same in every epoch.

    Args:
        network: in eval mode.
        examples: the training and validation rows.
        settings: the size of the cache and of the batches that fill it.
        keeper: asked before each batch whether to stop.
        varies: whether a training image differs from epoch to epoch.
    """
    repeated = [examples.val] if varies else [examples.train, examples.val]
    limit, size = settings.feature_cache_mb, settings.batch_size
    with autocast(settings.precision, examples.images.device.type):
        return Features(
            network, examples.images, torch.cat(repeated), limit_mb=limit, batch_size=size, on_batch=keeper.check
        )


def reference_maps(
    loss_term: LossTerm, features: Features, examples: Examples, settings: LoopSettings, keeper: Keeper, *, varies: bool
) -> FeatureCache:
    """Return the reference's tensors of rows that are the same in every epoch, cached in the room that features leave.

    Rows that are augmented or mixed are left out: their tensors differ from epoch to epoch.
    """
    free = min(settings.feature_cache_mb * 2**20 - features.bytes, examples.images.free_memory() // 2)
    with autocast(settings.precision, examples.images.device.type):
        return FeatureCache(
            lambda rows: loss_term.reference(features(rows), start=features.prefix),
            examples.train[:0] if varies else examples.train,
            limit=max(0, free),
            batch_size=settings.batch_size,
            on_batch=keeper.check,
        )
