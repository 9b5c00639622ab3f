"""Bring images in: read each one fully, copy or draw it, record it, and check the set that comes of it."""

import functools
import hashlib
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from pipeline.core.errors import InputError
from pipeline.datasets.collect.dataset import Picture
from pipeline.datasets.collect.folder import Found
from pipeline.datasets.decoding import images
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.decoding.space import check_room
from pipeline.datasets.prepared.manifest import Rejected, Row
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image


class Drawn(NamedTuple):
    """One image to draw: number `number` of the spiders of a kind."""

    path: str
    kind: int
    number: int
    size: int
    seed: int


def spiders(*, images_per_class: int, size: int, seed: int) -> list[Drawn]:
    """The drawn set: so many images of `size` x `size` pixels of every kind of spider."""
    return [
        Drawn(f"{name}/{number:05}.png", kind, number, size, seed)
        for kind, name in enumerate(SPIDERS)
        for number in range(images_per_class)
    ]


def draw(drawings: Sequence[Drawn], target: Path) -> list[Row]:
    """Draw images below the folder `target`, on all cores.

    Returns:
        A row an image, sorted by path.
    """
    with mapped(functools.partial(_draw, target), drawings) as rows:
        return sorted(tqdm(rows, "draw", len(drawings), unit=" images", disable=None))


def save(pictures: Sequence[Picture], target: Path) -> list[Row]:
    """Write every picture as a PNG file below the folder `target`, on all cores.

    Returns:
        A row a picture, sorted by path.

    Raises:
        InputError: where the disk has no room.
    """
    check_room(target, sum(picture.pixels.nbytes for picture in pictures), way_out="free some, or take another set")
    with mapped(functools.partial(_save, target), pictures) as rows:
        return sorted(tqdm(rows, "collect", len(pictures), unit=" images", disable=None))


def bring(files: Sequence[Found], target: Path) -> tuple[list[Row], list[Rejected]]:
    """Read every file as an image and copy it below the folder `target`, byte for byte, on all cores.

    Returns:
        A row an accepted image and a row a file that cannot be used, both sorted by path.

    Raises:
        InputError: where the disk has no room.
    """
    check_room(target, sum(_size(found.file) for found in files), way_out="free some, or bring fewer images")
    with mapped(functools.partial(_bring, target), files) as results:
        brought = list(tqdm(results, "collect", len(files), unit=" images", disable=None))
    rows = sorted(row for row in brought if isinstance(row, Row))
    return rows, sorted(row for row in brought if isinstance(row, Rejected))


def look(files: Sequence[Found]) -> tuple[list[Row], list[Rejected]]:
    """Read every file as an image where it is, as `bring` does, and copy nothing."""
    with mapped(_look, files) as results:
        seen = list(tqdm(results, "read", len(files), unit=" images", disable=None))
    return sorted(row for row in seen if isinstance(row, Row)), sorted(row for row in seen if isinstance(row, Rejected))


def check_classes(files: Sequence[Found], rows: Sequence[Row], rejected: Sequence[Rejected]) -> None:
    """Check that what was accepted leaves two different images a class, or one in train and one in test.

    Args:
        files: all that there was.
        rows: what was accepted of them.
        rejected: what was not.

    Raises:
        InputError: for the first class with too few, naming the first file rejected.
    """
    parts = {"train": 1, "test": 1} if any(found.part for found in files) else {"": 2}
    kept: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        kept[row.label, row.part].add(row.sha256)
    for label in sorted({found.label for found in files}):
        for part, needed in parts.items():
            usable = len(kept[label, part])
            if usable < needed:
                own = {found.path for found in files if (found.label, found.part) == (label, part)}
                told = f"class {label!r}" + (f" in {part}" if part else "")
                why = _first([refused for refused in rejected if refused.path in own])
                raise InputError(f"{told}: {usable} different usable of {len(own)} files, {needed} needed; {why}")


def check_duplicates(rows: Sequence[Row], *, way_out: str) -> None:
    """Check that no image lies, byte for byte, in two classes; for two parts see `leaks`.

    Args:
        rows: the accepted images.
        way_out: what to do if this is meant, for the message.

    Raises:
        InputError: naming the first such pair and how many more images are concerned.
    """
    copies: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        copies[row.sha256].append(row)
    clashes = [same for same in copies.values() if len({row.label for row in same}) > 1]
    if not clashes:
        return
    first, *others = clashes[0]
    second = next(row for row in others if row.label != first.label)
    more = f" (and {len(clashes) - 1} more such images)" if len(clashes) > 1 else ""
    raise InputError(
        f"{first.path!r} and {second.path!r} are the same image in two classes{more}; remove one, or {way_out}"
    )


def _draw(target: Path, drawing: Drawn) -> Row:
    image = spider_image(drawing.kind, drawing.number, size=drawing.size, seed=drawing.seed)
    return _written(target, image, drawing.path, SPIDERS[drawing.kind], "")


def _save(target: Path, picture: Picture) -> Row:
    return _written(target, Image.fromarray(picture.pixels), picture.path, picture.label, picture.part)


def _written(target: Path, image: Image.Image, path: str, label: str, part: str) -> Row:
    place = target / path
    place.parent.mkdir(parents=True, exist_ok=True)
    image.save(place)
    return _row(place, images.load(place), path, label, part)


def _look(found: Found) -> Row | Rejected:
    try:
        return _row(found.file, images.load(found.file), found.path, found.label, found.part)
    except images.RefusedError as refusal:
        return Rejected(found.path, str(refusal))


def _bring(target: Path, found: Found) -> Row | Rejected:
    try:
        loaded = images.load(found.file)
    except images.RefusedError as refusal:
        return Rejected(found.path, str(refusal))
    place = target / found.path
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(found.file, place)
    except OSError as error:
        # A full disk is the copy's, but Python names the original first.
        error.filename = str(place)
        raise
    return _row(place, loaded, found.path, found.label, found.part)


def _row(place: Path, loaded: images.Loaded, path: str, label: str, part: str) -> Row:
    with place.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    width, height = loaded.image.size
    return Row(path, label, part, place.stat().st_size, sha256, width, height, loaded.mode, loaded.note)


def _first(refused: Sequence[Rejected]) -> str:
    if not refused:
        return "the others are byte-equal copies"
    return f"{len(refused)} rejected, the first {refused[0].path!r}: {refused[0].reason}"


def _size(file: Path) -> int:
    """A file's bytes; nothing for what cannot be looked at, which is rejected later."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
