"""The training part of an experiment's images before it runs, as its own stages would divide them."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.bank.folds import IntArray
from pipeline.config import Resolved
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.datasets.collect import sets
from pipeline.datasets.decoding import packing
from pipeline.datasets.prepared import dividing, groups
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.prepared.packed import Packed
from pipeline.pretrained import copies
from pipeline.preview import images


class TrainingPart(NamedTuple):
    """The training images of the first repeat.

    Attributes:
        rows: one an image.
        folder: where their paths begin.
        groups: (n,) a number for each group of copies or of metadata.csv, and one of its own for every other image.
        title: the set's name.
        repeat: its number.
    """

    rows: Sequence[Row]
    folder: Path
    groups: IntArray
    title: str
    repeat: int

    @property
    def classes(self) -> list[str]:
        """The class names, sorted."""
        return sorted({row.label for row in self.rows})

    @property
    def labels(self) -> IntArray:
        """The number (n,) of each image's class."""
        number = {name: place for place, name in enumerate(self.classes)}
        return np.array([number[row.label] for row in self.rows], dtype=np.int64)

    @contextmanager
    def packed(self, recipe: Recipe, some: Sequence[int]) -> Iterator[Packed]:
        """Yield the packed set of some of them, as the stage `preprocess` packs them."""
        with tempfile.TemporaryDirectory() as scratch:
            target, data = Path(scratch) / "packed", recipe.data
            packing.pack(
                [self.rows[one] for one in some],
                self.folder,
                target,
                size=data.image_size,
                resize=data.resize,
                interpolation=data.interpolation,
            )
            yield Packed.open(target)


@contextmanager
def training_part(resolved: Resolved) -> Iterator[TrainingPart]:
    """Yield the training part; the images of a set that is not a folder are there for the block alone.

    Raises:
        InputError: for a set that cannot be had, or would stop a run.
    """
    with tempfile.TemporaryDirectory() as scratch:
        seen = images.look(resolved, Path(scratch) / "images")
        if seen.fault:
            raise InputError(seen.fault)
        data, repeat = resolved.recipe.data, resolved.recipe.repeats[0]
        pairs, _ = copies.find(seen.rows, seen.folder)
        own = sets.known(data.set).given_by == "folder"
        assigned = dividing.divided(data, seen.rows, pairs, own=own, repeat=repeat)
        # The test part ends here: neither its images nor its labels go further.
        training = {one.path for one in assigned if one.part == "train"}
        rows = [row for row in seen.rows if row.path in training]
        yield TrainingPart(
            rows,
            seen.folder,
            groups.numbered([row.path for row in rows], groups.grouped(pairs, seen.rows)),
            seen.title,
            repeat,
        )
