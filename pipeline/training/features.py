"""What the trained part of a network sees: images run through the frozen part, once where that can be."""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from pipeline.training.images import Images


class Runnable(Protocol):
    """A network that can be run in parts."""

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor: ...
    def frozen_prefix(self) -> int: ...


class FeatureCache:
    """Tensors that are the same for an image each time, computed once and kept on the device where they fit.

    A kept value and one computed anew differ at most by what a convolution's last digits owe to the size of its batch.

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
        self._kept: dict[str, Tensor] | None = None
        if limit and len(rows):
            self._keep(compute, rows, limit, batch_size)

    @property
    def kept(self) -> bool:
        """Whether there was room."""
        return self._kept is not None

    @property
    def bytes(self) -> int:
        """How much is kept."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (self._kept or {}).values())

    def __call__(self, rows: Tensor) -> dict[str, Tensor]:
        """What is kept of these rows (n,), on the device."""
        if self._kept is None:
            raise ValueError("nothing is kept")
        return {name: tensor[self._position[rows].to(tensor.device)] for name, tensor in self._kept.items()}

    def _keep(
        self, compute: Callable[[Tensor], Mapping[str, Tensor]], rows: Tensor, limit: int, batch_size: int
    ) -> None:
        first = compute(rows[:1])
        size = sum(one.numel() * one.element_size() for one in first.values()) * len(rows)
        if not first or size > limit:
            return
        kept = {name: _room(one, len(rows)) for name, one in first.items()}
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            for name, values in compute(batch).items():
                kept[name][start : start + len(batch)] = values
        self._position = torch.full((int(rows.max()) + 1,), -1)
        self._position[rows] = torch.arange(len(rows))
        self._kept = kept


def _room(one: Tensor, count: int) -> Tensor:
    layout = torch.channels_last if one.dim() == 4 else torch.contiguous_format
    return torch.empty((count, *one.shape[1:]), dtype=one.dtype, device=one.device, memory_format=layout)


class Features:
    """The output of the frozen prefix for given rows, without gradient.

    Where every epoch shows the same images (no augmentation) and the whole fits into `limit_mb`, it is computed once
    and kept on the device.

    Args:
        network: whose frozen prefix to run; it must stay frozen.
        images: where batches come from.
        rows: every row that will be asked for without augmentation.
        limit_mb: memory for kept features in MiB, on a GPU no more than half of what is free; 0 keeps none.
        batch_size: how many images at a time fill the memory.
    """

    def __init__(self, network: Runnable, images: Images, rows: Tensor, *, limit_mb: int, batch_size: int) -> None:
        self.prefix = network.frozen_prefix()
        self._network = network
        self._images = images
        limit = min(limit_mb * 2**20, images.free_memory() // 2) if self.prefix else 0
        self._memory = FeatureCache(
            lambda rows: {"features": self._compute(rows)}, rows, limit=limit, batch_size=batch_size
        )

    @property
    def kept(self) -> bool:
        """Whether features are read from memory."""
        return self._memory.kept

    @property
    def bytes(self) -> int:
        """How much memory they take."""
        return self._memory.bytes

    def __call__(self, rows: Tensor, random_parameters: Tensor | None = None) -> Tensor:
        """The trained part's input for these rows (n,), on the device."""
        if self.kept and random_parameters is None:
            return self._memory(rows)["features"]
        return self._compute(rows, random_parameters)

    @torch.no_grad()
    def _compute(self, rows: Tensor, random_parameters: Tensor | None = None) -> Tensor:
        return self._network.run(self._images.batch(rows, random_parameters), stop=self.prefix)
