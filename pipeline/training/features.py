"""The input of the trained part of a network: images run through the frozen part, once if that is possible."""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from pipeline.training.images import Images


class Runnable(Protocol):
    """A network that runs step by step."""

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor: ...
    def frozen_prefix(self) -> int: ...


class FeatureCache:
    """Tensors that are the same for an image each time, computed once and cached on the device if they fit.

    A cached value and one computed anew differ at most in the last digits, by the size of a convolution's batch.

    Args:
        compute: for rows (n,), tensors by name, each with n in front.
        rows: every row that will be asked for.
        limit: the most bytes that all of it may take.
        batch_size: how many rows at a time are computed.
    """

    def __init__(
        self, compute: Callable[[Tensor], Mapping[str, Tensor]], rows: Tensor, *, limit: int, batch_size: int
    ) -> None:
        self._position = torch.empty(0, dtype=torch.long)
        self._cached: dict[str, Tensor] | None = None
        if limit and len(rows):
            self._fill(compute, rows, limit, batch_size)

    @property
    def cached(self) -> bool:
        """Whether there was room."""
        return self._cached is not None

    @property
    def bytes(self) -> int:
        """The size of the cache."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (self._cached or {}).values())

    def __call__(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the cached tensors of these rows (n,), on the device."""
        if self._cached is None:
            raise ValueError("nothing is cached")
        return {name: tensor[self._position[rows].to(tensor.device)] for name, tensor in self._cached.items()}

    def _fill(
        self, compute: Callable[[Tensor], Mapping[str, Tensor]], rows: Tensor, limit: int, batch_size: int
    ) -> None:
        first = compute(rows[:1])
        size = sum(one.numel() * one.element_size() for one in first.values()) * len(rows)
        if not first or size > limit:
            return
        cached = {name: _room(one, len(rows)) for name, one in first.items()}
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            for name, values in compute(batch).items():
                cached[name][start : start + len(batch)] = values
        self._position = torch.full((int(rows.max()) + 1,), -1)
        self._position[rows] = torch.arange(len(rows))
        self._cached = cached


def _room(one: Tensor, count: int) -> Tensor:
    layout = torch.channels_last if one.dim() == 4 else torch.contiguous_format
    return torch.empty((count, *one.shape[1:]), dtype=one.dtype, device=one.device, memory_format=layout)


class Features:
    """The output of the frozen prefix for given rows, without gradient.

    Without augmentation, and if the whole fits into `limit_mb`, it is computed once and cached on the device.

    Args:
        network: whose frozen prefix to run; it must stay frozen.
        images: where batches come from.
        rows: every row that will be asked for without augmentation.
        limit_mb: memory of the cache in MiB, on a GPU no more than half of what is free; 0 caches none.
        batch_size: how many images at a time fill the cache.
    """

    def __init__(self, network: Runnable, images: Images, rows: Tensor, *, limit_mb: int, batch_size: int) -> None:
        self.prefix = network.frozen_prefix()
        self._network = network
        self._images = images
        limit = min(limit_mb * 2**20, images.free_memory() // 2) if self.prefix else 0
        self._cache = FeatureCache(
            lambda rows: {"features": self._compute(rows)}, rows, limit=limit, batch_size=batch_size
        )

    @property
    def cached(self) -> bool:
        """Whether features are read from the cache."""
        return self._cache.cached

    @property
    def bytes(self) -> int:
        """The size of the cache."""
        return self._cache.bytes

    def __call__(self, rows: Tensor, random_parameters: Tensor | None = None) -> Tensor:
        """Return the trained part's input for these rows (n,), on the device."""
        if self.cached and random_parameters is None:
            return self._cache(rows)["features"]
        return self._compute(rows, random_parameters)

    @torch.no_grad()
    def _compute(self, rows: Tensor, random_parameters: Tensor | None = None) -> Tensor:
        return self._network.run(self._images.batch(rows, random_parameters), stop=self.prefix)
