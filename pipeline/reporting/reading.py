"""From the files of a working tree to what a report is made from."""

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import digests, paths
from pipeline.core.errors import AGAIN, InputError
from pipeline.core.recipe import Recipe
from pipeline.datasets.collect import health, left_out
from pipeline.datasets.prepared import leaks, manifest
from pipeline.datasets.prepared.search import Search
from pipeline.evaluation.compare import repeats
from pipeline.evaluation.compare.repeats import Folder, Repeat
from pipeline.reporting import aggregate, examples, figures, probes
from pipeline.reporting.examples import Example
from pipeline.reporting.explained import Explanations
from pipeline.reporting.figures import Shown
from pipeline.reporting.material import Material

EXAMPLES = 12


@contextmanager
def whole() -> Iterator[None]:
    """Say in a line which file an earlier stage has not made."""
    try:
        yield
    except FileNotFoundError as error:
        message = f"{error.filename}: no such file; `dvc repro` makes it, with all that comes before the report"
        raise InputError(message) from None


def material(recipe: Recipe) -> Material:
    """Read the repeats with what the data stages say of the images, and the images that are worth a look.

    Raises:
        FileNotFoundError: if a file is not there.
        InputError: if one is not what its stage writes, or repeats are not of one experiment.
    """
    read = [repeats.read(Folder(Path()), number) for number in recipe.repeats]
    aggregate.check_same_experiment(read)
    digests.check(paths.MANIFEST, paths.REJECTED, paths.PAIRS)
    digests.check(paths.PACKED / paths.PACKED_INDEX, paths.PACKED / paths.PACKED_ARRAY)
    rows = list(manifest.read(paths.MANIFEST, manifest.Row))
    rejected = list(manifest.read(paths.REJECTED, manifest.Rejected))
    dataset, settings = _json(paths.DATASET), read[0].record.recipe.data
    pairs = list(manifest.read(paths.PAIRS, manifest.Pair))
    if settings.on_leak == "drop":
        left = leaks.rejections(leaks.leaks(rows, pairs))
        rejected = sorted([*rejected, *left])
        rows = [row for row in rows if row.path not in {one.path for one in left}]
    counts = Counter(row.label for row in rows)
    return Material(
        repeats=read,
        cite=recipe.cite,
        dataset=dataset,
        class_images={name: counts[name] for name in read[0].classes},
        rejected=left_out.listed(rejected),
        right=_with_images(examples.right_examples(read, EXAMPLES)),
        wrong=_with_images(examples.wrong_examples(read, EXAMPLES)),
        health=health.examine(
            rows,
            rejected,
            pairs,
            Search(**_json(paths.SEARCH)),
            image_size=settings.image_size,
            on_leak=settings.on_leak,
            split=settings.split,
            own=dataset["own"],
            # Older experiments did not say.
            tested=dataset.get("tested", ""),
        ),
        # Where nothing trains, no image is varied.
        augmented=b"" if aggregate.is_probe(read) else _augmented(read[0]),
        own=recipe.own,
        probes=probes.read(Folder(Path()), [one.number for one in read]),
    )


def _augmented(one: Repeat) -> bytes:
    """Return training images as a repeat's training varied them, a PNG; nothing where it did not."""
    sheet = paths.training_metrics(one.number) / paths.AUGMENTED
    return digests.read(sheet) if sheet.exists() else b""


def explained(one: Repeat) -> Explanations:
    """Read what training and testing left for pictures of one repeat, with the images as the network is shown them.

    Raises:
        FileNotFoundError: if a file is not there.
        InputError: if one is not what its stage writes.
    """
    trained, tested = paths.training_metrics(one.number), paths.evaluation(one.number)
    described = _json(tested / "pictures.json")
    images = _with_images([examples.example(one.number, row) for row in described["images"]])
    with np.load(io.BytesIO(digests.read(tested / "pictures.npz")), allow_pickle=False) as file:
        arrays = dict(file)
    side = one.record.recipe.data.crop_size
    return Explanations(
        repeat=one.number,
        values=_json(trained / "values.json"),
        described=described,
        arrays=arrays,
        images=[shown._replace(image=figures.middle(shown.image, side)) for shown in images],
    )


def _with_images(listed: Sequence[Example]) -> list[Shown]:
    """Return examples with their pixels; of the packed array only their rows are read."""
    index = paths.PACKED / paths.PACKED_INDEX
    row = {image.path: number for number, image in enumerate(manifest.read(index, manifest.Indexed))}
    if unknown := [one.path for one in listed if one.path not in row]:
        raise InputError(f"{index}: lacks {unknown[0]!r}, which was tested; `dvc repro` makes both again")
    pixels = np.load(paths.PACKED / paths.PACKED_ARRAY, mmap_mode="r")
    return [Shown(one, np.array(pixels[row[one.path]])) for one in listed]


def _json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(digests.read(path))
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}; {AGAIN}") from None
    return values
