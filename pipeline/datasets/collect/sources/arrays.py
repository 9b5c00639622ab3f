"""Sets published as arrays, not as image files: CIFAR-10 and CIFAR-100 (by torchvision), scikit-learn's digits."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.core.types import PerClass
from pipeline.datasets.collect.dataset import Counts, DataSet, Picture
from pipeline.datasets.collect.sources.places import WHOLE, folder_named
from pipeline.datasets.download.download import Download


def cifar10(folder: Path) -> list[Picture]:
    """Read CIFAR-10: `cifar-10-batches-py/`, 32 x 32 RGB.

    Raises:
        InputError: if a file is missing or not the published one.
    """
    return _cifar(folder, "CIFAR10")


def cifar100(folder: Path) -> list[Picture]:
    """Read CIFAR-100 with its 100 fine labels: `cifar-100-python/`, 32 x 32 RGB.

    Raises:
        InputError: if a file is missing or not the published one.
    """
    return _cifar(folder, "CIFAR100")


def digits(_folder: Path) -> list[Picture]:
    """Read the handwritten digits that scikit-learn contains: 8 x 8 gray, their 17 levels scaled to 0..255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)
    labeled = enumerate(zip(pixels, data.target, strict=True))
    return [Picture(f"{label}/{number:05}.png", str(label), "", image) for number, (image, label) in labeled]


_CIFAR_TERMS = "No license is stated; its authors ask for the technical report to be cited."
_CIFAR_CITATION = "Krizhevsky 2009, Learning multiple layers of features from tiny images, technical report"
CIFAR10 = DataSet(
    title="CIFAR-10",
    description="ten kinds of objects at 32 x 32",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
    terms=_CIFAR_TERMS,
    citation=_CIFAR_CITATION,
    classes=10,
    counts=Counts(60000, 50000, 10000),
    read=cifar10,
    paper="hierarchical: named, without results",
    official="5,000 training and 1,000 test images a class",
    downloads=(
        Download(
            "cifar-10-python.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
            size=170498071,
            md5="c58f30108f718f92721af3b95e74349a",
        ),
    ),
)
CIFAR100 = DataSet(
    title="CIFAR-100",
    description="100 kinds of objects at 32 x 32",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
    terms=_CIFAR_TERMS,
    citation=_CIFAR_CITATION,
    classes=100,
    counts=Counts(60000, 50000, 10000),
    read=cifar100,
    paper="hierarchical: see cifar100_few",
    official="500 training and 100 test images a class",
    downloads=(
        Download(
            "cifar-100-python.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
            size=169001437,
            md5="eb9058c3a382ffc7106e4002c42a8d85",
        ),
    ),
)
CIFAR100_FEW = replace(
    CIFAR100,
    title="CIFAR-100, 10 training images a class",
    description="100 kinds of objects at 32 x 32, with 10 training and 5 validation images drawn from each class",
    counts=Counts(60000, 1000, 10000),
    paper="hierarchical: 10 training and 5 validation images a class; we test on the whole test part",
    per_class=PerClass(train=10, test=0, val=5),
)
DIGITS = DataSet(
    title="scikit-learn's handwritten digits",
    description="handwritten digits at 8 x 8: real images without a download",
    home="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    terms="Creative Commons Attribution 4.0.",
    citation="Alpaydin, Kaynak 1998, Optical recognition of handwritten digits, UCI repository",
    classes=10,
    counts=Counts(1797),
    given_by=None,
    read=digits,
    paper="in none: real images without a download",
)


def _cifar(folder: Path, kind: str) -> list[Picture]:
    from pipeline.core.vision import datasets

    reader = getattr(datasets, kind)
    root = folder_named(folder, reader.base_folder).parent
    _check_files(root / reader.base_folder, reader)
    pictures: list[Picture] = []
    for part in ("train", "test"):
        with warnings.catch_warnings():
            # An old NumPy pickled the files; new ones warn about it.
            warnings.simplefilter("ignore")
            data = reader(root, train=part == "train")
        for number, (image, target) in enumerate(zip(data.data, data.targets, strict=True)):
            label = data.classes[target]
            pictures.append(Picture(f"{part}/{label}/{number:05}.png", label, part, image))
    return pictures


def _check_files(folder: Path, reader: Any) -> None:
    """Check the published MD5 of every file: they are pickles, which run code when opened. torchvision checks again."""
    from pipeline.core.vision import datasets

    files = [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]
    for name, md5 in files:
        if not datasets.utils.check_integrity(folder / name, md5):
            fault = "is not the published file" if (folder / name).is_file() else "is missing"
            raise InputError(f"{folder.name}/{name} {fault}; {WHOLE}")
