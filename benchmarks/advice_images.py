"""The images that the advice is tried on, and the cuts of them: see `advice_trainings.py`."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from tqdm import tqdm

from pipeline.core import imagenet
from pipeline.datasets.decoding import images as decoding
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.prepared.packed import Packed
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image

# Its lines name the sets.
SETS = Path(__file__).resolve().with_name("advice_sets.yaml")
# Of each class: to learn from, and the most to test on.
SIZES, MOST_TESTED = (6, 20, 60), 100


class ImageSet(NamedTuple):
    """All images of a source at one side.

    Attributes:
        array: uint8 (n, 3, S, S).
        labels: the class name of each.
    """

    array: NDArray[np.uint8]
    labels: list[str]


def drawn(side: int) -> ImageSet:
    """Return drawn spiders, as many of each kind as the largest cut and its test part take."""
    number = SIZES[-1] + MOST_TESTED
    images = [
        (np.asarray(spider_image(kind, index, size=side, seed=0)), name)
        for kind, name in enumerate(SPIDERS)
        for index in range(number)
    ]
    return _together(images)


def digits(side: int) -> ImageSet:
    """Return scikit-learn's handwritten digits, enlarged."""
    dataset = load_digits()
    gray = (dataset.images * (255 / dataset.images.max())).astype(np.uint8)
    enlarged = [Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC).convert("RGB") for one in gray]
    return _together([(np.asarray(one), str(label)) for one, label in zip(enlarged, dataset.target, strict=True)])


def photographs(folder: Path, side: int) -> ImageSet:
    """Return the images of a folder; that above an image's is its class.

    Raises:
        FileNotFoundError: where the folder has none.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not files:
        raise FileNotFoundError(f"{folder}: no images; mend its line in {SETS.name}, or take it out")
    decoded = [decoding.load(file, at_least=decoding.DRAFT * side).image for file in tqdm(files, disable=None)]
    resized = [np.asarray(decoding.resized(one, side, "stretch", interpolation="bilinear")) for one in decoded]
    return _together([(one, file.parent.name) for one, file in zip(resized, files, strict=True)])


def _together(images: list[tuple[NDArray[np.uint8], str]]) -> ImageSet:
    array = np.stack([one for one, _ in images]).transpose(0, 3, 1, 2)
    return ImageSet(np.ascontiguousarray(array), [label for _, label in images])


def image_set(where: str, side: int) -> ImageSet:
    """Return the images that a line of the file of sets names."""
    return MADE[where](side) if where in MADE else photographs(Path(where), side)


MADE: Mapping[str, Callable[[int], ImageSet]] = {"drawn": drawn, "digits": digits}


def cut(whole: ImageSet, per_class: int) -> tuple[Packed, list[Row]]:
    """Return the packed images of a cut and their manifest, which has the parts `train` and `test`."""
    labels, rows, taken = np.array(whole.labels), [], []
    for number, name in enumerate(sorted(set(whole.labels))):
        order = np.random.default_rng([number]).permutation(np.flatnonzero(labels == name))
        for place, image in enumerate(order[: per_class + MOST_TESTED]):
            data = whole.array[image].tobytes()
            part = "train" if place < per_class else "test"
            side = whole.array.shape[-1]
            sha256 = hashlib.sha256(data).hexdigest()
            rows.append(Row(f"{name}/{image}", name, part, len(data), sha256, side, side, "RGB", ""))
            taken.append(int(image))
    classes = sorted(set(whole.labels))
    numbers = np.array([classes.index(row.label) for row in rows])
    together = hashlib.sha256("".join(row.sha256 for row in rows).encode()).hexdigest()
    array = whole.array[taken]
    named = [row.path for row in rows]
    return Packed(array, named, numbers, classes, imagenet.MEAN, imagenet.STD, together), rows
