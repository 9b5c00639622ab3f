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
    """Eval transform, and train transform with `random_parameters` uniform numbers per image."""

    @property
    def random_parameters(self) -> int: ...
    @property
    def input_size(self) -> int: ...
    @property
    def computes_on_cpu(self) -> bool: ...
    def eval_transform(self, images: Tensor) -> Tensor: ...
    def train_transform(self, images: Tensor, random_parameters: Tensor) -> Tensor: ...


class Images:
    """Normalized batches by row number.

    The uint8 rows of a run are copied to a GPU if they fit into half of its free memory; otherwise each batch is read
    from the memory-mapped file and copied. Cropping, augmentation, resizing and normalization run on the device; all
    but the last run on the CPU where the augmentation does, and each such batch is read from the file too.

    Args:
        array: uint8 (N, 3, S, S), usually memory-mapped.
        rows: the rows that will be read.
        mean: one value per channel, for images scaled to 0..1.
        std: likewise.
        device: the device of the batches.
        transform: the transform of packed images; None leaves them as they are.
    """

    def __init__(
        self,
        array: NDArray[np.uint8],
        rows: Tensor,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        transform: ImageTransform | None = None,
    ) -> None:
        self.device = device
        self._transform = transform
        self._array = array
        self._resident = self._read(rows).to(device) if self._fits(len(rows)) else None
        # From a row of the array to its place among the resident rows; of all others to none, so that they raise.
        position = torch.full((len(array),), len(rows))
        position[rows] = torch.arange(len(rows))
        self._position = position.to(device)
        # Scaled here, so that a batch is not divided by 255 each time.
        self._mean = 255 * torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self._std = 255 * torch.tensor(std, device=device).view(1, 3, 1, 1)

    @property
    def varies(self) -> bool:
        """Whether the train transform is random, so that an image differs from epoch to epoch."""
        return self._transform is not None and self._transform.random_parameters > 0

    @property
    def side(self) -> int:
        """Side of the images of a batch, in pixels."""
        return int(self._array.shape[-1]) if self._transform is None else self._transform.input_size

    def batch(self, rows: Tensor, random_parameters: Tensor | None = None) -> Tensor:
        """Return the images of these rows, normalized.

        Args:
            rows: row numbers (n,), copied where they are looked up unless they are `placed`.
            random_parameters: (n, P) of the train transform, likewise; None for the eval transform.

        Returns:
            float32 (n, 3, I, I) on the device, channels last; I is the transform's input size.
        """
        images = self._raw(rows, on_cpu=self._computes_on_cpu(random_parameters))
        if self._transform is not None:
            images = self._transformed(images, self._transform, random_parameters)
        images = images.to(self.device, torch.float32, memory_format=torch.channels_last)
        return (images - self._mean) / self._std

    def placed(self, rows: Tensor, random_parameters: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return rows (n,) and random parameters (n, P) where `batch` takes them without a copy, such as an epoch's."""
        on_cpu = self._computes_on_cpu(random_parameters)
        if random_parameters is not None and not on_cpu:
            random_parameters = random_parameters.to(self.device)
        return rows if on_cpu or self._resident is None else rows.to(self.device), random_parameters

    def random_parameters(self, rows: Tensor, *, seed: int, epoch: int) -> Tensor | None:
        """Return uniform random numbers for an epoch's images, the same at any batch size; None without randomness.

        Args:
            rows: the epoch's rows (n,) in their order; a repeated row gets new numbers each time.
            seed: of the run.
            epoch: counted from 1.

        Returns:
            (n, P) in [0, 1) on the CPU, P the transform's `random_parameters`.
        """
        if self._transform is None or self._transform.random_parameters == 0:
            return None
        generator = torch.Generator().manual_seed(seeding.derive("augmentation", seed, epoch))
        if len(rows.unique()) < len(rows):
            return torch.rand(len(rows), self._transform.random_parameters, generator=generator)
        # By row of the array, so that an image's numbers do not depend on the order.
        return torch.rand(len(self._array), self._transform.random_parameters, generator=generator)[rows]

    def _transformed(self, images: Tensor, transform: ImageTransform, random_parameters: Tensor | None) -> Tensor:
        if random_parameters is None:
            return transform.eval_transform(images)
        return transform.train_transform(images, random_parameters.to(images.device))

    def _computes_on_cpu(self, random_parameters: Tensor | None) -> bool:
        """Return whether the transform of these images runs on the CPU: the train transform of some augmentations."""
        return random_parameters is not None and self._transform is not None and self._transform.computes_on_cpu

    def _raw(self, rows: Tensor, *, on_cpu: bool) -> Tensor:
        # For the CPU they are read again: copied back from the device, each batch would wait for it.
        if self._resident is None or on_cpu:
            return self._read(rows) if on_cpu else self._read(rows).to(self.device)
        return self._resident[self._position[rows.to(self.device)]]

    def _read(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(self._array[rows.numpy()])

    def free_memory(self) -> int:
        """Return the free bytes of a GPU, on CUDA with torch's own blocks that no tensor is in; else `sys.maxsize`."""
        if self.device.type == "mps":
            # Main memory, of which Metal recommends how much a GPU should use.
            return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
        if self.device.type != "cuda":
            return sys.maxsize
        # Those are not free to the driver: torch holds them for its next tensors.
        unused = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return torch.cuda.mem_get_info(self.device)[0] + unused

    def _fits(self, count: int) -> bool:
        """Return whether this many rows are to be copied to the device; on a CPU the mapped file is memory already."""
        size = count * int(np.prod(self._array.shape[1:]))
        return self.device.type != "cpu" and size <= self.free_memory() // 2
