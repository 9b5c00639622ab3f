"""The packed set: all images, decoded and resized once, in one memory-mapped array."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from pipeline.core import digests, imagenet, paths
from pipeline.core.errors import AGAIN, InputError
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Assigned, Indexed, Part

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Packed:
    """A packed set.

    Attributes:
        images: uint8 (N, 3, S, S), red green blue, memory-mapped and read-only.
        paths: N paths, as in the manifest.
        labels: int64 (N,), indices of `classes`.
        classes: the class names, sorted.
        mean: per channel, of images scaled to 0..1.
        std: per channel, of images scaled to 0..1.
        sha256: of images and index.
    """

    images: npt.NDArray[np.uint8]
    paths: list[str]
    labels: npt.NDArray[np.int64]
    classes: list[str]
    mean: Channels
    std: Channels
    sha256: str

    @classmethod
    def open(cls, folder: Path, *, mean: Channels = imagenet.MEAN, std: Channels = imagenet.STD) -> Self:
        """Open the files of `packing.pack`, which are read once to compare their digests.

        Args:
            folder: they are in.
            mean: what the network takes images to be normalized by.
            std: likewise.

        Raises:
            InputError: if a file is missing, damaged, or contradicts the others.
        """
        digests.check(*(folder / name for name in (paths.PACKED_INDEX, paths.PACKED_META, paths.PACKED_ARRAY)))
        index = manifest.read(folder / paths.PACKED_INDEX, Indexed)
        try:
            meta = json.loads((folder / paths.PACKED_META).read_text(encoding="utf-8"))
            # Mapped, so that a set larger than the memory can be read. Pickled arrays could run code.
            array = np.load(folder / paths.PACKED_ARRAY, mmap_mode="r", allow_pickle=False)
            shape = (len(index), 3, meta["image_size"], meta["image_size"])
            if array.shape != shape or array.dtype != np.uint8:
                raise ValueError(f"{array.dtype} {array.shape} instead of uint8 {shape}")
            class_index = {label: number for number, label in enumerate(meta["classes"])}
            labels = np.array([class_index[row.label] for row in index], dtype=np.int64)
            sha256 = str(meta["sha256"])
        except FileNotFoundError as error:
            raise InputError(f"{error.filename}: no such file; dvc repro makes it") from None
        except (ValueError, KeyError, TypeError, EOFError) as error:
            raise InputError(f"{folder}: not a packed set ({error}); {AGAIN}") from None
        return cls(array, [row.path for row in index], labels, meta["classes"], mean, std, sha256)

    def assigned(self, split: Path) -> dict[Part, list[int]]:
        """Return the rows of `images` in each part of a split file, in its order; a part may be empty.

        Raises:
            InputError: if the file is not what its stage wrote, or names an image that is not packed.
        """
        digests.check(split)
        number = {name: row for row, name in enumerate(self.paths)}
        images = manifest.read(split, Assigned)
        if unknown := [image.path for image in images if image.path not in number]:
            raise InputError(f"{split}: {unknown[0]!r} is not in {paths.PACKED}; `dvc repro` makes both again")
        rows: dict[Part, list[int]] = {"train": [], "val": [], "test": []}
        for image in images:
            rows[image.part].append(number[image.path])
        return rows
