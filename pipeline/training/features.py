"""Features of the frozen prefix, the input of the part that trains: computed once per image where possible."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from pipeline.training.images import Images


class Mix(Protocol):
    """How the images of a batch are mixed with each other, see `mixing`."""

    def images(self, x: Tensor) -> Tensor: ...


class Runnable(Protocol):
    """A network that runs step by step."""

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor: ...
    def frozen_prefix(self) -> int: ...


class FeatureCache:
    """Tensors that are the same for an image in every epoch, cached on the device; all rows or, for want of room, none.

    A cached value and a recomputed one differ at most in the last digits, by the size of a convolution's batch.

    Args:
        compute: returns tensors (n, ...) by name for rows (n,).
        rows: every row that will be read, on the CPU.
        limit: upper bound of the size, in bytes.
        batch_size: rows per call of `compute`.
        on_batch: called before each of these calls; may raise to stop.

    Attributes:
        seconds: the time that filling took; 0 if nothing is cached.
    """

    def __init__(
        self,
        compute: Callable[[Tensor], Mapping[str, Tensor]],
        rows: Tensor,
        *,
        limit: int,
        batch_size: int,
        on_batch: Callable[[], object] = lambda: None,
    ) -> None:
        self.seconds = 0.0
        self._on_batch = on_batch
        self._position = torch.empty(0, dtype=torch.long)
        self._cached: dict[str, Tensor] | None = None
        if limit and len(rows):
            self._fill(compute, rows, limit, batch_size)

    @property
    def cached(self) -> bool:
        """Whether the tensors are cached."""
        return self._cached is not None

    @property
    def bytes(self) -> int:
        """Size of the cache in bytes."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (self._cached or {}).values())

    def __call__(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the cached tensors of these rows (n,), on the device."""
        if self._cached is None:
            raise ValueError("nothing is cached")
        places = self._position[rows.to(self._position.device)]
        return {name: tensor[places] for name, tensor in self._cached.items()}

    def _fill(
        self, compute: Callable[[Tensor], Mapping[str, Tensor]], rows: Tensor, limit: int, batch_size: int
    ) -> None:
        started = time.perf_counter()
        # The size of one row decides, before memory is allocated for all.
        first = compute(rows[:1])
        size = sum(one.numel() * one.element_size() for one in first.values()) * len(rows)
        if not first or size > limit:
            return
        cached = {name: _allocate(one, len(rows)) for name, one in first.items()}
        for start in range(0, len(rows), batch_size):
            self._on_batch()
            batch = rows[start : start + batch_size]
            for name, values in compute(batch).items():
                cached[name][start : start + len(batch)] = values
        device = next(iter(cached.values())).device
        self._position = torch.full((int(rows.max()) + 1,), -1, device=device)
        self._position[rows.to(device)] = torch.arange(len(rows), device=device)
        self._cached = cached
        self.seconds = time.perf_counter() - started


def _allocate(one: Tensor, count: int) -> Tensor:
    # Maps stay channels-last, as convolutions on a GPU want them.
    layout = torch.channels_last if one.dim() == 4 else torch.contiguous_format
    return torch.empty((count, *one.shape[1:]), dtype=one.dtype, device=one.device, memory_format=layout)


class Features:
    """Output of the frozen prefix by row, without gradient; cached without augmentation, if all rows fit.

    Args:
        network: the network; its frozen prefix must stay frozen.
        images: the source of batches.
        rows: every row that will be read without augmentation.
        limit_mb: upper bound of the cache in MiB, on a GPU at most half of the free memory; 0 caches nothing.
        batch_size: images per forward pass that fills the cache.
        on_batch: called before each of these passes; may raise to stop.
    """

    def __init__(
        self,
        network: Runnable,
        images: Images,
        rows: Tensor,
        *,
        limit_mb: int,
        batch_size: int,
        on_batch: Callable[[], object] = lambda: None,
    ) -> None:
        self.prefix = network.frozen_prefix()
        self._network = network
        self._images = images
        limit = min(limit_mb * 2**20, images.free_memory() // 2) if self.prefix else 0
        self._cache = FeatureCache(
            lambda rows: {"features": self._compute(rows)},
            rows,
            limit=limit,
            batch_size=batch_size,
            on_batch=on_batch,
        )

    @property
    def cached(self) -> bool:
        """Whether features are read from the cache."""
        return self._cache.cached

    @property
    def bytes(self) -> int:
        """Size of the cache in bytes."""
        return self._cache.bytes

    @property
    def seconds(self) -> float:
        """Time that filling the cache took; 0 if nothing is cached."""
        return self._cache.seconds

    def placed(
        self, rows: Tensor, random_parameters: Tensor | None = None, *, mixed: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Return rows (n,) and random parameters (n, P) where a call takes them without a copy, such as an epoch's.

        Args:
            rows: row numbers.
            random_parameters: of the train transform; None for the eval transform.
            mixed: whether the images will be mixed.
        """
        if self.cached and random_parameters is None and not mixed:
            return rows.to(self._images.device), None
        return self._images.placed(rows, random_parameters)

    def __call__(self, rows: Tensor, random_parameters: Tensor | None = None, mix: Mix | None = None) -> Tensor:
        """Return the features (n, ...) of these rows (n,), on the device, or of the mixed images."""
        if self.cached and random_parameters is None and mix is None:
            return self._cache(rows)["features"]
        return self._compute(rows, random_parameters, mix)

    @torch.no_grad()
    def _compute(self, rows: Tensor, random_parameters: Tensor | None = None, mix: Mix | None = None) -> Tensor:
        x = self._images.batch(rows, random_parameters)
        return self._network.run(mix.images(x) if mix else x, stop=self.prefix)
