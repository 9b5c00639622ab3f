"""Batches from one packed array: no worker processes, no decoding in the loop."""

import sys
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core import seeding


class ImageTransform(Protocol):
    """How images are shown: the same every time, or varied by uniform draws, `random_parameters` of them an image."""

    @property
    def random_parameters(self) -> int: ...
    def eval_transform(self, images: Tensor) -> Tensor: ...
    def train_transform(self, images: Tensor, random_parameters: Tensor) -> Tensor: ...


class Images:
    """Normalised batches by row number.

    The uint8 rows that a run needs are kept on the device where they fit into half of its free memory, and are read
    from the memory-mapped file batch by batch where they do not. Cropping, augmenting, resizing and normalizing are
    done on the device.

    Args:
        array: uint8, (N, 3, S, S), usually memory-mapped.
        rows: the rows that will be asked for.
        mean: one value a channel, for images scaled to 0..1.
        std: likewise.
        device: where batches go.
        view: how they are shown; None shows them as they are packed.
    """

    def __init__(
        self,
        array: NDArray[np.uint8],
        rows: Tensor,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        view: ImageTransform | None = None,
    ) -> None:
        self.device = device
        self._view = view
        self._array = array
        self._position = torch.full((len(array),), -1)
        self._position[rows] = torch.arange(len(rows))
        self._resident = self._upload(rows) if self._fits(len(rows)) else None
        self._mean = 255 * torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self._std = 255 * torch.tensor(std, device=device).view(1, 3, 1, 1)

    @property
    def varies(self) -> bool:
        """Whether an image looks different from epoch to epoch."""
        return self._view is not None and self._view.random_parameters > 0

    def batch(self, rows: Tensor, random_parameters: Tensor | None = None) -> Tensor:
        """Return the images of these rows, normalized.

        Args:
            rows: row numbers (n,), on the CPU.
            random_parameters: theirs (n, view.draws), or None to show the images as in testing.

        Returns:
            float32 (n, 3, I, I) on the device, I the view's input size.
        """
        images = self._raw(rows)
        if self._view is not None:
            images = self._shown(images, self._view, random_parameters)
        images = images.to(torch.float32, memory_format=torch.channels_last)
        return (images - self._mean) / self._std

    def random_parameters(self, rows: Tensor, *, seed: int, epoch: int) -> Tensor | None:
        """Return uniform random parameters for an epoch's images, the same at any batch size; None if nothing varies.

        Args:
            rows: the epoch's rows (n,) in their order. An image that is shown more than once is varied anew each time.
            seed: of the run.
            epoch: counted from 1.

        Returns:
            (n, view.draws).
        """
        if self._view is None or self._view.random_parameters == 0:
            return None
        generator = torch.Generator().manual_seed(seeding.derive("augmentation", seed, epoch))
        if len(rows.unique()) < len(rows):
            return torch.rand(len(rows), self._view.random_parameters, generator=generator)
        # By row, so that an image's draws do not depend on the order.
        return torch.rand(len(self._array), self._view.random_parameters, generator=generator)[rows]

    def _shown(self, images: Tensor, view: ImageTransform, random_parameters: Tensor | None) -> Tensor:
        return (
            view.eval_transform(images)
            if random_parameters is None
            else view.train_transform(images, random_parameters.to(self.device))
        )

    def _raw(self, rows: Tensor) -> Tensor:
        if self._resident is not None:
            return self._resident[self._position[rows].to(self.device)]
        return torch.from_numpy(self._array[rows.numpy()]).to(self.device)

    def _upload(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(self._array[rows.numpy()]).to(self.device)

    def free_memory(self) -> int:
        """Return the free bytes of a GPU; no bound elsewhere."""
        return torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else sys.maxsize

    def _fits(self, count: int) -> bool:
        """Copy the rows to a GPU if they fit; on a CPU the mapped file is memory already."""
        size = count * int(np.prod(self._array.shape[1:]))
        return self.device.type != "cpu" and size <= self.free_memory() // 2
