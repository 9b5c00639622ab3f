"""Collection of images: decode each fully, copy or draw it, record it in a row, and check the resulting set."""

import errno
import functools
import itertools
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from pipeline.core import digests
from pipeline.core.errors import InputError
from pipeline.core.space import check_room
from pipeline.datasets.collect import left_out
from pipeline.datasets.collect.dataset import Picture
from pipeline.datasets.collect.folder import ImageFile
from pipeline.datasets.decoding import images
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared.manifest import Rejected, Row
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image


class Drawn(NamedTuple):
    """One image to draw: spider `number` of a kind."""

    path: str
    kind: int
    number: int
    size: int
    seed: int


def spiders(*, images_per_class: int, size: int, seed: int) -> list[Drawn]:
    """Return the drawings of the synthetic set: every kind of spider, `size` x `size` pixels."""
    return [
        Drawn(f"{name}/{number:05}.png", kind, number, size, seed)
        for kind, name in enumerate(SPIDERS)
        for number in range(images_per_class)
    ]


def draw(drawings: Sequence[Drawn], target: Path) -> list[Row]:
    """Draw images below the folder `target`, on all cores.

    Returns:
        One row per image, sorted by path.
    """
    with mapped(functools.partial(_draw, target), drawings) as rows:
        return sorted(tqdm(rows, "draw", len(drawings), unit=" images", disable=None))


def save(pictures: Sequence[Picture], target: Path) -> list[Row]:
    """Write every picture as a PNG file below the folder `target`, on all cores.

    Returns:
        One row per picture, sorted by path.

    Raises:
        InputError: if the disk has no room.
    """
    check_room(target, sum(picture.pixels.nbytes for picture in pictures), way_out="free some, or take another set")
    with mapped(functools.partial(_save, target), pictures) as rows:
        return sorted(tqdm(rows, "collect", len(pictures), unit=" images", disable=None))


def bring(files: Sequence[ImageFile], target: Path) -> tuple[list[Row], list[Rejected]]:
    """Decode every file as an image and copy it below the folder `target`, byte for byte, on all cores.

    Returns:
        One row per accepted image, and one per file that cannot be used; both sorted by path.

    Raises:
        InputError: if the disk has no room.
    """
    check_room(target, sum(_size(file.file) for file in files), way_out="free some, or bring fewer images")
    with mapped(functools.partial(_bring, target), files) as results:
        rows = list(tqdm(results, "collect", len(files), unit=" images", disable=None))
    return _divided(rows)


def inspect(files: Sequence[ImageFile]) -> tuple[list[Row], list[Rejected]]:
    """Decode every file as an image in place; return the rows that `bring` would, and copy nothing."""
    with mapped(_inspect, files) as results:
        rows = list(tqdm(results, "read", len(files), unit=" images", disable=None))
    return _divided(rows)


def check_classes(files: Sequence[ImageFile], rows: Sequence[Row], rejected: Sequence[Rejected]) -> None:
    """Check that each class has two different accepted images, or one in train and one in test.

    Args:
        files: all files of the set.
        rows: the accepted ones.
        rejected: the others.

    Raises:
        InputError: for the first class with too few; the message names the first rejected file.
    """
    parts = {"train": 1, "test": 1} if any(file.part for file in files) else {"": 2}
    different: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        different[row.label, row.part].add(row.sha256)
    for label in sorted({file.label for file in files}):
        for part, needed in parts.items():
            usable = len(different[label, part])
            if usable < needed:
                own = {file.path for file in files if (file.label, file.part) == (label, part)}
                where = f"class {label!r}" + (f" in {part}" if part else "")
                reason = _first_reason([refused for refused in rejected if refused.path in own])
                raise InputError(f"{where}: {usable} different usable of {len(own)} files, {needed} needed; {reason}")


def check_duplicates(rows: Sequence[Row], *, way_out: str) -> None:
    """Check that no image is in two classes, byte for byte; `leaks` checks the parts.

    Args:
        rows: the accepted images.
        way_out: how to allow such pairs, for the message.

    Raises:
        InputError: for the first such pair, with the number of further images.
    """
    copies: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        copies[row.sha256].append(row)
    clashes = [equal for equal in copies.values() if len({row.label for row in equal}) > 1]
    if not clashes:
        return
    first, *others = clashes[0]
    second = next(row for row in others if row.label != first.label)
    more = f" (and {len(clashes) - 1} more such images)" if len(clashes) > 1 else ""
    raise InputError(
        f"{first.path!r} and {second.path!r} are the same image in two classes{more}; remove one, or {way_out}"
    )


def _divided(rows: Sequence[Row | Rejected]) -> tuple[list[Row], list[Rejected]]:
    """Return accepted and rejected rows, each sorted by path."""
    return sorted(row for row in rows if isinstance(row, Row)), sorted(row for row in rows if isinstance(row, Rejected))


def _draw(target: Path, drawing: Drawn) -> Row:
    image = spider_image(drawing.kind, drawing.number, size=drawing.size, seed=drawing.seed)
    return _write(target, image, drawing.path, SPIDERS[drawing.kind], "")


def _save(target: Path, picture: Picture) -> Row:
    return _write(target, Image.fromarray(picture.pixels), picture.path, picture.label, picture.part)


def _write(target: Path, image: Image.Image, path: str, label: str, part: str) -> Row:
    file = target / path
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)
    # Read back as collected files are, so that the row says the same of both.
    return _row(ImageFile(file, path, label, part), images.load(file), file)


def _inspect(file: ImageFile) -> Row | Rejected:
    try:
        return _row(file, images.load(file.file), file.file)
    except images.RefusedError as refusal:
        return Rejected(file.path, str(refusal))


def _bring(target: Path, file: ImageFile) -> Row | Rejected:
    try:
        loaded = images.load(file.file)
    except images.RefusedError as refusal:
        return Rejected(file.path, str(refusal))
    copy = target / file.path
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(file.file, copy)
    except OSError as error:
        # Python names the original first, but a full disk is the copy's.
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            error.filename = str(copy)
        raise
    return _row(file, loaded, copy)


def _row(file: ImageFile, loaded: images.Loaded, place: Path) -> Row:
    """Return the row of an image whose bytes are at `place`."""
    sha256, size = digests.sha256(place), place.stat().st_size
    width, height = loaded.image.size
    return Row(file.path, file.label, file.part, size, sha256, width, height, loaded.mode, loaded.note, file.group)


def _first_reason(refused: Sequence[Rejected]) -> str:
    if not refused:
        return "the others are byte-equal copies"
    # A damaged photograph before an annotation.
    first = next(itertools.chain(*left_out.divided(refused)))
    return f"{len(refused)} rejected, the first {first.path!r}: {first.reason}"


def _size(file: Path) -> int:
    """Return a file's size in bytes; 0 if the system refuses, as the file is rejected later."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
