"""Sets that are arrays and no image files: CIFAR-10 and CIFAR-100, read by torchvision, and scikit-learn's digits."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.datasets.collect.collecting import Picture
from pipeline.datasets.collect.sources.places import WHOLE, folder_named


def cifar10(folder: Path) -> list[Picture]:
    """CIFAR-10: `cifar-10-batches-py/`, 32 x 32 RGB.

    Raises:
        InputError: where a file is missing or not the published one.
    """
    return _cifar(folder, "CIFAR10")


def cifar100(folder: Path) -> list[Picture]:
    """CIFAR-100 with its 100 fine labels: `cifar-100-python/`, 32 x 32 RGB.

    Raises:
        InputError: where a file is missing or not the published one.
    """
    return _cifar(folder, "CIFAR100")


def digits(_folder: Path) -> list[Picture]:
    """scikit-learn's handwritten digits, which come with it: 8 x 8 grey, their 17 levels spread over 0 to 255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)
    labelled = enumerate(zip(pixels, data.target, strict=True))
    return [Picture(f"{label}/{number:05}.png", str(label), "", image) for number, (image, label) in labelled]


def _cifar(folder: Path, kind: str) -> list[Picture]:
    from pipeline.core.vision import datasets

    reader = getattr(datasets, kind)
    root = folder_named(folder, reader.base_folder).parent
    _check_files(root / reader.base_folder, reader)
    pictures: list[Picture] = []
    for part in ("train", "test"):
        with warnings.catch_warnings():
            # The files are of an old NumPy, of whose ways a new one complains.
            warnings.simplefilter("ignore")
            data = reader(root, train=part == "train")
        for number, (image, target) in enumerate(zip(data.data, data.targets, strict=True)):
            label = data.classes[target]
            pictures.append(Picture(f"{part}/{label}/{number:05}.png", label, part, image))
    return pictures


def _check_files(folder: Path, reader: Any) -> None:
    """The files are pickles: only those with the published MD5 are opened, which torchvision sees to as well."""
    from pipeline.core.vision import datasets

    files = [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]
    for name, md5 in files:
        if not datasets.utils.check_integrity(folder / name, md5):
            fault = "is not the published file" if (folder / name).is_file() else "is missing"
            raise InputError(f"{folder.name}/{name} {fault}; {WHOLE}")
