"""Sets whose classes and parts are in MATLAB files, read by SciPy: Stanford Dogs and Stanford Cars."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.datasets.collect.folder import Layout
from pipeline.datasets.collect.sources.places import WHOLE, Named, file_named, folder_named, layout, shortened

# What SciPy's reader lets through on damaged files, besides its own error; version 7.3 is another format.
_DAMAGE = (OSError, ValueError, TypeError, LookupError, EOFError, NotImplementedError, struct.error, zlib.error)


def dogs(folder: Path) -> Layout:
    """Stanford Dogs: `train_list.mat`, `test_list.mat`, and `Images/` with a folder a class.

    Raises:
        InputError: where a list or an image is missing.
    """
    return layout(folder_named(folder, "Images"), dogs_names(folder))


def dogs_names(folder: Path) -> list[Named]:
    """Every image of the two lists; labels are the folders' names without ImageNet's number.

    Raises:
        InputError: where a list is missing, cannot be read or has no `file_list`.
    """
    listed = {part: _column(folder, f"{part}_list.mat", "file_list") for part in ("train", "test")}
    kinds = {name.partition("/")[0] for names in listed.values() for name in names}
    labels = shortened(sorted(kinds), r"n[0-9]+-")
    return [Named(name, labels[name.partition("/")[0]], part) for part, names in listed.items() for name in names]


def cars(folder: Path) -> Layout:
    """Stanford Cars: the development kit, the test part's labels, and the folders `cars_train` and `cars_test`.

    Raises:
        InputError: where a list or an image is missing.
    """
    found = []
    for part, images in cars_names(folder).items():
        place = f"cars_{part}"
        found += layout(folder_named(folder, place), images, below=f"{place}/").files
    return Layout(sorted(found, key=lambda file: file.path), [])


def cars_names(folder: Path) -> dict[str, list[Named]]:
    """Every image of the annotations, by part; classes are numbered from 1.

    Raises:
        InputError: where annotations are missing, cannot be read or name a class that `cars_meta.mat` does not.
    """
    labels = _column(folder, "cars_meta.mat", "class_names")
    images: dict[str, list[Named]] = {}
    for part, name in (("train", "cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        table = _variable(folder, name, "annotations")
        if not {"fname", "class"} <= set(table.dtype.names or ()):
            raise InputError(f"{name}: its annotations have no fname and class; {WHOLE}")
        numbers = [int(number) for number in table["class"]]
        if not all(1 <= number <= len(labels) for number in numbers):
            raise InputError(f"{name}: a class that cars_meta.mat does not name; {WHOLE}")
        pairs = zip(table["fname"], numbers, strict=True)
        images[part] = [Named(str(file), labels[number - 1], part) for file, number in pairs]
    return images


def _column(folder: Path, name: str, variable: str) -> list[str]:
    return [str(text) for text in _variable(folder, name, variable)]


def _variable(folder: Path, name: str, variable: str) -> "np.ndarray[Any, Any]":
    """A variable of a MATLAB file, one-dimensional."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    content = file_named(folder, name).read_bytes()
    try:
        return np.atleast_1d(loadmat(io.BytesIO(content), squeeze_me=True)[variable])
    except (MatReadError, *_DAMAGE):
        raise InputError(f"{name}: not a MATLAB file with {variable}; {WHOLE}") from None
