"""What the trained part of a network sees: images run through the frozen part, once where that can be."""

from typing import Protocol

import torch
from torch import Tensor

from pipeline.training.images import Images


class Runnable(Protocol):
    """A network that can be run in parts."""

    def run(self, x: Tensor, *, start: int = 0, stop: int | None = None) -> Tensor: ...
    def frozen_prefix(self) -> int: ...


class Features:
    """The output of the frozen prefix for given rows, without gradient.

    Where every epoch shows the same images (no augmentation) and the whole fits into `limit_mb`, it is computed once
    and kept on the device. A kept value and one computed anew differ at most by what a convolution's last digits owe
    to the size of its batch.

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
        self._position = torch.empty(0, dtype=torch.long)
        self._kept: Tensor | None = None
        if self.prefix and limit_mb and len(rows):
            self._keep(rows, min(limit_mb * 2**20, images.free_memory() // 2), batch_size)

    @property
    def kept(self) -> bool:
        """Whether features are read from memory."""
        return self._kept is not None

    def __call__(self, rows: Tensor, draws: Tensor | None = None) -> Tensor:
        """The trained part's input for these rows (n,), on the device."""
        if self._kept is not None and draws is None:
            return self._kept[self._position[rows].to(self._kept.device)]
        with torch.no_grad():
            return self._network.run(self._images.batch(rows, draws), stop=self.prefix)

    def _keep(self, rows: Tensor, limit: int, batch_size: int) -> None:
        first = self(rows[:1])
        if first.numel() * first.element_size() * len(rows) > limit:
            return
        layout = torch.channels_last if first.dim() == 4 else torch.contiguous_format
        shape = (len(rows), *first.shape[1:])
        kept = torch.empty(shape, dtype=first.dtype, device=first.device, memory_format=layout)
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            kept[start : start + len(batch)] = self(batch)
        self._position = torch.full((int(rows.max()) + 1,), -1)
        self._position[rows] = torch.arange(len(rows))
        self._kept = kept
