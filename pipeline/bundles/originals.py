"""The photographs of a bundle's experiment, where this working tree has them, or of a folder."""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.bundles.description import Description
from pipeline.bundles.parity import Photograph
from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.recipe import Recipe
from pipeline.core.sections import Data
from pipeline.datasets.collect.listing import walk
from pipeline.datasets.decoding.images import RefusedError, load
from pipeline.datasets.prepared import groups, manifest
from pipeline.datasets.prepared.manifest import Assigned

WAY_OUT = "run this in the project that made the bundle, or give photographs: --photographs FOLDER"


def of_part(said: Description, part: str) -> list[Photograph]:
    """Return the collected photographs of one part of the bundle's first network's repeat, with their classes.

    Raises:
        InputError: where this working tree has another experiment's images, or none.
    """
    check(said)
    repeat = said.members[0].repeat
    split = paths.split_file(said.origin.repeats[0] if repeat is None else repeat)
    digests.check(split)
    # A table of the user's may have changed them, of the same images and with the same settings.
    if said.origin.split_sha256 not in ("", digests.sha256(split)):
        raise InputError(f"{split}: other parts of the photographs than the bundle's; {WAY_OUT}")
    number = {name: index for index, name in enumerate(said.classes)}
    chosen = [one for one in manifest.read(split, Assigned) if one.part == part]
    group = groups.of_images(one.path for one in chosen)
    return [Photograph(one.path, paths.IMAGES / one.path, number[one.label], group.get(one.path, "")) for one in chosen]


def check(said: Description) -> None:
    """Refuse a working tree whose images, or whose parts of them, are not those of the bundle's experiment.

    Raises:
        InputError: with the way out.
    """
    meta = paths.PACKED / paths.PACKED_META
    if not (meta.is_file() and paths.RECIPE.is_file() and paths.IMAGES.is_dir()):
        raise InputError(f"{paths.IMAGES}: the photographs of the bundle are not in this project; {WAY_OUT}")
    digests.check(meta)
    same_images = json.loads(meta.read_text(encoding="utf-8"))["sha256"] == said.origin.data_sha256
    if not same_images or Recipe.read().data != Data.model_validate(said.origin.settings["data"]):
        raise InputError(f"{paths.IMAGES}: other photographs, or other parts of them, than the bundle's; {WAY_OUT}")


def of_folder(folder: Path) -> tuple[list[Photograph], list[str]]:
    """Return the photographs of a folder and of those below it, and a line for each that cannot be used.

    Raises:
        InputError: for a folder without any.
    """
    if not folder.is_dir():
        raise InputError(f"--photographs: {folder}: no such folder; give one with photographs")
    photographs, refused = [], []
    for file in sorted(walk(folder)):
        name = file.relative_to(folder).as_posix()
        try:
            load(file)
            photographs.append(Photograph(name, file, None))
        except RefusedError as error:
            refused.append(f"{name}: {error}")
    if not photographs:
        first = f" ({refused[0]})" if refused else ""
        raise InputError(f"--photographs: {folder}: no photograph in it that can be read{first}; give another folder")
    return photographs, refused


def spread(photographs: Sequence[Photograph], count: int) -> list[Photograph]:
    """Return this many of them at most, evenly spread, so that every class has its share."""
    step = max(1, len(photographs) / count)
    return [photographs[int(number * step)] for number in range(min(count, len(photographs)))]
