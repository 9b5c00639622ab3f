"""Small copies of the published sets: the same archives, layouts, names and file formats, with tiny images."""

import hashlib
import io
import pickle
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.io import savemat

from pipeline.datasets.collect.dataset import DataSet
from pipeline.datasets.collect.sources.classes import ITALIAN
from pipeline.datasets.download.download import Download


def photograph(text: str) -> bytes:
    """Return a JPEG of 12 x 8 pixels, unique by the text in its comment."""
    comment = text.encode()
    return _JPEG[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + _JPEG[2:]


def _jpeg() -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((12, 8)).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


_JPEG = _jpeg()


def tarred(members: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def matlab(**variables: object) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def cells(texts: list[str]) -> np.ndarray:
    """Return a MATLAB cell array of texts, one per row."""
    column = np.empty((len(texts), 1), object)
    column[:, 0] = texts
    return column


def numbered(values: Mapping[int, object]) -> bytes:
    """Return a text list whose lines are a number and a value."""
    return "".join(f"{key} {value}\n" for key, value in values.items()).encode()


def letters(number: int) -> str:
    """Return a name without digits, unique per number."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


CUB_CLASSES = ["001.Black_footed_Albatross", *(f"{n:03}.Warbler_{letters(n)}" for n in range(2, 201))]


def cub_lists(train: list[int], test: list[int]) -> dict[str, bytes]:
    """Return CUB's lists with numbers of training and test images for each of the first classes."""
    images, kinds, trains = [], [], []
    for kind, (label, ours, theirs) in enumerate(zip(CUB_CLASSES[: len(train)], train, test, strict=True), 1):
        for number in range(ours + theirs):
            images.append(f"{label}/{label[4:]}_{number:04}_{kind}.jpg")
            kinds.append(kind)
            trains.append(int(number < ours))
    tables = {"images.txt": images, "image_class_labels.txt": kinds, "train_test_split.txt": trains}
    files = {name: numbered(dict(enumerate(values, 1))) for name, values in tables.items()}
    return files | {"classes.txt": numbered(dict(enumerate(CUB_CLASSES, 1)))}


@cache
def cub() -> dict[str, bytes]:
    lists = cub_lists([1] * 200, [1] * 200)
    names = [line.split()[1] for line in lists["images.txt"].decode().splitlines()]
    members = {"attributes.txt": b"1 has_bill_shape::curved\n"}
    members |= {f"CUB_200_2011/images/{name}": photograph(name) for name in names}
    members |= {f"CUB_200_2011/{name}": content for name, content in lists.items()}
    members |= {"CUB_200_2011/bounding_boxes.txt": b"1 60.0 27.0 325.0 304.0\n", "CUB_200_2011/README": b"Birds\n"}
    members |= {"CUB_200_2011/parts/parts.txt": b"1 back\n"}
    return {"CUB_200_2011.tgz": tarred(members)}


DOGS_CLASSES = ["n02085620-Chihuahua", "n02089078-black-and-tan_coonhound"]
DOGS_CLASSES += [f"n{2090000 + n:08}-hound_{letters(n)}" for n in range(118)]


def dogs_lists(train: list[int], test: list[int]) -> dict[str, bytes]:
    """Return Stanford Dogs' lists with numbers of training and test images for each of the first classes."""
    names: dict[str, list[str]] = {"train": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "test": []}
    for kind, (label, *counts) in enumerate(zip(DOGS_CLASSES[: len(train)], train, test, strict=True), 1):
        for part, count in zip(names, counts, strict=True):
            names[part] += [f"{label}/{label[:9]}_{part}{number}.jpg" for number in range(count)]
            labels[part] += [kind] * count
    files = {}
    for part in names:
        lists = {"file_list": cells(names[part]), "annotation_list": cells([name[:-4] for name in names[part]])}
        files[f"{part}_list.mat"] = matlab(**lists, labels=np.array(labels[part], np.uint8)[:, None])
    return files


@cache
def dogs() -> dict[str, bytes]:
    images = [
        f"{label}/{label[:9]}_{part}{number}.jpg"
        for label in DOGS_CLASSES
        for part, count in (("train", 2), ("test", 1))
        for number in range(count)
    ]
    images += [f"{DOGS_CLASSES[0]}/in_no_list.jpg"]
    return {
        "images.tar": tarred({f"Images/{name}": photograph(name) for name in images}, "w"),
        "lists.tar": tarred(dogs_lists([2] * 120, [1] * 120) | {"file_list.mat": matlab(file_list=cells(images))}, "w"),
    }


CARS_CLASSES = ["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012"]
CARS_CLASSES += [f"Make {letters(n)} Sedan 2012" for n in range(194)]


def cars_meta() -> bytes:
    return matlab(class_names=cells(CARS_CLASSES).T)


def cars_annotations(kinds: list[int], *, labeled: bool = True) -> bytes:
    """Return a struct array with one image per class, in order; the kit's own test annotations have no class."""
    names = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", *["class"] * labeled, "fname"]
    rows = [(1, 2, 11, 7, *[kind] * labeled, f"{number:05}.jpg") for number, kind in enumerate(kinds, 1)]
    return matlab(annotations=np.array(rows, [(name, "O") for name in names])[None, :])


@cache
def cars() -> dict[str, bytes]:
    train = [kind for kind in range(1, 197) for _ in range(2)]
    test = list(range(1, 197))
    kit = {"cars_meta.mat": cars_meta(), "cars_train_annos.mat": cars_annotations(train)}
    kit |= {"cars_test_annos.mat": cars_annotations(test, labeled=False), "README.txt": b"Cars\n"}
    folders = {"cars_train": len(train), "cars_test": len(test)}
    files = {
        f"{part}.tgz": tarred({f"{part}/{n:05}.jpg": photograph(f"{part} {n}") for n in range(1, count + 1)})
        for part, count in folders.items()
    }
    files["car_devkit.tgz"] = tarred({f"devkit/{name}": content for name, content in kit.items()})
    return files | {"cars_test_annos_withlabels.mat": cars_annotations(test)}


CALTECH_CLASSES = ["001.ak47", *(f"{n:03}.thing-{letters(n)}" for n in range(2, 257)), "257.clutter"]
CALTECH_CLASSES[55], CALTECH_CLASSES[197] = "056.dog", "198.spider"


@cache
def caltech() -> dict[str, bytes]:
    names = [f"{label}/{label[:3]}_{number:04}.jpg" for label in CALTECH_CLASSES for number in range(1, 6)]
    members = {f"256_ObjectCategories/{name}": photograph(name) for name in names}
    members |= {"256_ObjectCategories/198.spider/RENAME2": b"#!/bin/sh\n"}
    members |= {"256_ObjectCategories/056.dog/greg/vision309/056_0001.jpg": photograph("056.dog/056_0001.jpg")}
    return {"256_ObjectCategories.tar": tarred(members, "w")}


MIT_CLASSES = ["airport_inside", *(f"room_{letters(n)}" for n in range(66))]


def mit_lists(train: list[int], test: list[int]) -> dict[str, bytes]:
    """Return MIT Indoor 67's lists, as for the others; without a final newline."""
    files = {}
    for name, counts, start in (("TrainImages.txt", train, 0), ("TestImages.txt", test, 1000)):
        pairs = zip(MIT_CLASSES[: len(counts)], counts, strict=True)
        images = [f"{label}/{label} {start + number}.jpg" for label, count in pairs for number in range(count)]
        files[name] = "\n".join(images).encode()
    return files


@cache
def mit() -> dict[str, bytes]:
    lists = mit_lists([4] * 67, [1] * 67)
    images = [name for content in lists.values() for name in content.decode().splitlines()]
    images += ["airport_inside/in_no_list.jpg"]
    return lists | {"indoorCVPR_09.tar": tarred({f"Images/{name}": photograph(name) for name in images}, "w")}


def cifar_pixels(first: int, images: int) -> np.ndarray:
    """Return rows of an image's red, green and blue values."""
    return np.random.default_rng(first).integers(0, 256, (images, 3072), np.uint8)


def _batch(first: int, labels: list[int], key: str) -> dict[str, object]:
    return {
        "data": cifar_pixels(first, len(labels)),
        key: labels,
        "filenames": [f"{first + n}.png" for n in range(len(labels))],
    }


@cache
def cifar10() -> dict[str, bytes]:
    batches: dict[str, object] = {f"data_batch_{n}": _batch(n * 100, list(range(10)), "labels") for n in range(1, 6)}
    batches["test_batch"] = _batch(900, list(range(10)), "labels")
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    batches["batches.meta"] = {"label_names": names, "num_cases_per_batch": 10, "num_vis": 3072}
    return {"cifar-10-python.tar.gz": _pickled("cifar-10-batches-py", batches)}


@cache
def cifar100() -> dict[str, bytes]:
    files: dict[str, object] = {
        "train": _batch(0, list(range(100)) * 4, "fine_labels"),
        "test": _batch(1, list(range(100)) * 2, "fine_labels"),
        "meta": {"fine_label_names": ["apple", *(f"plant_{letters(n)}" for n in range(99))]},
    }
    return {"cifar-100-python.tar.gz": _pickled("cifar-100-python", files)}


def _pickled(folder: str, files: Mapping[str, object]) -> bytes:
    return tarred({f"{folder}/{name}": pickle.dumps(content, protocol=2) for name, content in files.items()})


@cache
def animals() -> dict[str, bytes]:
    names = [f"raw-img/{name}/OIP-{name}{n}.jpeg" for place, name in enumerate(ITALIAN) for n in range(10 + place)]
    members = {name: photograph(name) for name in names}
    return {"archive.zip": zipped(members | {"translate.py": b"translate = {}\n"})}


# The files of each set's miniature, by name; built at the first call.
FILES = {
    "cub200": cub,
    "dogs": dogs,
    "cars": cars,
    "caltech256_30": caltech,
    "caltech256_60": caltech,
    "mit67": mit,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "cifar100_few": cifar100,
    "animals10": animals,
}


class Expected(NamedTuple):
    """Number of classes of a miniature, its images by its own parts, and by the parts of a split."""

    classes: int
    own: dict[str, int]
    split: dict[str, int]


def _official(classes: int, train: int, test: int) -> Expected:
    return Expected(classes, {"train": train, "test": test}, {"train": train, "test": test})


EXPECTED = {
    # test: 0.3 of 25 (five classes), 24 (two), 32 and 23, rounded: 8, 7, 10 and 7
    "spiders": Expected(9, {"": 228}, {"train": 157, "test": 71}),
    "cub200": _official(200, 200, 200),
    "dogs": _official(120, 240, 120),
    "cars": _official(196, 392, 196),
    "caltech256_30": Expected(257, {"": 1285}, {"train": 257 * 3, "test": 257 * 2}),
    "caltech256_60": Expected(257, {"": 1285}, {"train": 257 * 4, "test": 257}),
    "mit67": _official(67, 268, 67),
    "cifar10": _official(10, 50, 10),
    "cifar100": _official(100, 400, 200),
    "cifar100_few": Expected(100, {"train": 400, "test": 200}, {"train": 200, "val": 100, "test": 200}),
    "animals10": Expected(10, {"": 145}, {"train": 102, "test": 43}),
    "digits": Expected(10, {"": 1797}, {"train": 1258, "test": 539}),
}


def untarred(archive: bytes) -> dict[str, bytes]:
    """Return the files of a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {entry.name: opened.extractfile(entry).read() for entry in opened if entry.isfile()}


def published(row: DataSet, files: Mapping[str, bytes], server: str) -> DataSet:
    """Return a set's row with the miniature's sizes and checksums, and the test server's addresses."""
    return replace(row, downloads=tuple(_published(download, files, server) for download in row.downloads))


def published_batches(files: Mapping[str, bytes]) -> tuple[type, dict[str, object]]:
    """Return torchvision's reader of a CIFAR set, and its tables with the MD5 of the miniature's batches."""
    from torchvision.datasets import CIFAR10, CIFAR100

    ((name, archive),) = files.items()
    reader = CIFAR100 if "100" in name else CIFAR10
    md5 = {file.rpartition("/")[2]: hashlib.md5(content).hexdigest() for file, content in untarred(archive).items()}
    lists = {table: [[file, md5[file]] for file, _ in getattr(reader, table)] for table in ("train_list", "test_list")}
    return reader, lists | {"meta": reader.meta | {"md5": md5[reader.meta["filename"]]}}


def _published(download: Download, files: Mapping[str, bytes], server: str) -> Download:
    name = download.urls[0].rpartition("/")[2] if download.urls else download.name
    sha256 = hashlib.sha256(files[name]).hexdigest()
    urls = (f"{server}/{name}",) if download.urls else ()
    return replace(download, urls=urls, size=len(files[name]), sha256=sha256, md5="")
