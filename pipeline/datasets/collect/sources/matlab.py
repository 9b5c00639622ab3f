"""Sets whose classes and parts are in MATLAB files, read by SciPy: Stanford Dogs and Stanford Cars."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.datasets.collect.dataset import Counts, DataSet
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.collect.sources.places import WHOLE, Named, file_named, folder_named, layout, without_prefix
from pipeline.datasets.download.download import Download

# Errors of SciPy's reader on damaged files, besides its own; NotImplementedError is for version 7.3, another format.
_DAMAGE = (OSError, ValueError, TypeError, LookupError, EOFError, NotImplementedError, struct.error, zlib.error)


def dogs(folder: Path) -> Layout:
    """Read Stanford Dogs: `train_list.mat`, `test_list.mat`, and `Images/` with one folder per class.

    Raises:
        InputError: if a list or an image is missing.
    """
    return layout(folder_named(folder, "Images"), dogs_names(folder))


def dogs_names(folder: Path) -> list[Named]:
    """Return every image of the two lists; labels are the folders' names without ImageNet's number.

    Raises:
        InputError: if a list is missing, cannot be read or has no `file_list`.
    """
    listed = {part: _column(folder, f"{part}_list.mat", "file_list") for part in ("train", "test")}
    kinds = {name.partition("/")[0] for names in listed.values() for name in names}
    labels = without_prefix(sorted(kinds), r"n[0-9]+-")
    return [Named(name, labels[name.partition("/")[0]], part) for part, names in listed.items() for name in names]


DOGS = DataSet(
    title="Stanford Dogs",
    description="120 breeds of dogs; a part of ImageNet",
    home="http://vision.stanford.edu/aditya86/ImageNetDogs/",
    terms="Images of ImageNet, whose terms hold: non-commercial research and education.",
    citation="Khosla, Jayadevaprakash, Yao, Fei-Fei 2011, CVPR workshop on fine-grained visual categorization",
    classes=120,
    counts=Counts(20580, 12000, 8580),
    read=dogs,
    paper="CSCA: split not given; SPA-GCA: the official split; labels only",
    official="train_list.mat with 100 images a class, test_list.mat with the others",
    downloads=(
        Download(
            "stanford_dogs_images.tar",
            ("http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar",),
            size=793579520,
            sha256="a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
        ),
        Download(
            "stanford_dogs_lists.tar",
            ("http://vision.stanford.edu/aditya86/ImageNetDogs/lists.tar",),
            size=481280,
            sha256="34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c",
        ),
    ),
    known_overlap="It is a part of ImageNet, labels included: networks pre-trained there know its images.",
)


def cars(folder: Path) -> Layout:
    """Read Stanford Cars: development kit, labels of the test part, folders `cars_train` and `cars_test`.

    Raises:
        InputError: if a list or an image is missing.
    """
    files = []
    for part, images in cars_names(folder).items():
        name = f"cars_{part}"
        files += layout(folder_named(folder, name), images, prefix=f"{name}/").files
    return Layout(sorted(files, key=lambda file: file.path), [])


def cars_names(folder: Path) -> dict[str, list[Named]]:
    """Return every image of the annotations, by part.

    Raises:
        InputError: if annotations are missing, cannot be read or name a class that `cars_meta.mat` does not.
    """
    labels = _column(folder, "cars_meta.mat", "class_names")
    images: dict[str, list[Named]] = {}
    for part, name in (("train", "cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        table = _variable(folder, name, "annotations")
        if not {"fname", "class"} <= set(table.dtype.names or ()):
            raise InputError(f"{name}: its `annotations` lack the fields fname and class; {WHOLE}")
        # MATLAB numbers classes from 1.
        numbers = [int(number) for number in table["class"]]
        if not all(1 <= number <= len(labels) for number in numbers):
            raise InputError(f"{name}: has a class number that cars_meta.mat does not name; {WHOLE}")
        pairs = zip(table["fname"], numbers, strict=True)
        images[part] = [Named(str(file), labels[number - 1], part) for file, number in pairs]
    return images


CARS = DataSet(
    title="Stanford Cars",
    description="196 models of cars; needs your own copy",
    home="https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
    terms="For research, as ImageNet's images.",
    citation="Krause, Stark, Deng, Fei-Fei 2013, ICCV workshop on 3D representation and recognition",
    classes=196,
    counts=Counts(16185, 8144, 8041),
    read=cars,
    paper="CSCA: split not given, labels only; hierarchical: named, without results",
    official="cars_train and cars_test, about one half of each class",
    downloads=(
        Download(
            "cars_train.tgz",
            (),
            size=979269282,
            sha256="512b227b30e2f0a8aab9e09485786ab4479582073a144998da74d64b801fd288",
        ),
        Download(
            "cars_test.tgz",
            (),
            size=977350468,
            sha256="bffea656d6f425cba3c91c6d83336e4c5f86c6cffd8975b0f375d3a10da8e243",
        ),
        Download(
            "car_devkit.tgz",
            (),
            size=330960,
            sha256="b97deb463af7d58b6bfaa18b2a4de9829f0f79e8ce663dfa9261bf7810e9accd",
        ),
        Download(
            "cars_test_annos_withlabels.mat",
            (),
            size=185758,
            sha256="790f75be8ea34eeded134cc559332baf23e30e91367e9ddca97d26ed9b895f05",
        ),
    ),
    obtaining="copies are on Kaggle and in research groups",
)


def _column(folder: Path, name: str, variable: str) -> list[str]:
    return [str(text) for text in _variable(folder, name, variable)]


def _variable(folder: Path, name: str, variable: str) -> "np.ndarray[Any, Any]":
    """Return a variable of a MATLAB file, one-dimensional."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    content = file_named(folder, name).read_bytes()
    try:
        return np.atleast_1d(loadmat(io.BytesIO(content), squeeze_me=True)[variable])
    except (MatReadError, *_DAMAGE):
        raise InputError(f"{name}: not a MATLAB file with the variable {variable}; {WHOLE}") from None
