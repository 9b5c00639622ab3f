"""The writer of packed sets: decodes and resizes every image once, on all cores, in bounded memory."""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from tqdm import tqdm

from pipeline.core import digests, paths
from pipeline.core.errors import InputError
from pipeline.core.interpolation import Interpolation
from pipeline.core.space import check_room
from pipeline.datasets.decoding.images import DRAFT, RefusedError, Resize, load, resized
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Indexed, Row


def pack(
    rows: Sequence[Row], source: Path, target: Path, *, size: int, resize: Resize, interpolation: Interpolation
) -> None:
    """Write all images of a set in one array, with an index and a description.

    Args:
        rows: the manifest.
        source: the folder that its paths are relative to.
        target: the folder to create.
        size: side of a packed image, in pixels.
        resize: as `images.resized` takes it.
        interpolation: likewise.

    Raises:
        InputError: if the disk has no room, or an image is not the collected one.
    """
    target.mkdir(parents=True)
    shape = (len(rows), 3, size, size)
    check_room(target, int(np.prod(shape)), way_out="free some, or choose a smaller image_size")
    digest = hashlib.sha256()
    with (target / paths.PACKED_ARRAY).open("wb") as file:
        pixels = functools.partial(_pixels, source, size, resize, interpolation)
        _write_images(_Hashed(file, digest), rows, pixels, shape)
    array = digest.hexdigest()
    index = target / paths.PACKED_INDEX
    manifest.write(index, Indexed, (Indexed(row.path, row.label) for row in rows))
    digest.update(index.read_bytes())
    meta = {
        "images": len(rows),
        "image_size": size,
        "resize": resize,
        "interpolation": interpolation,
        "classes": sorted({row.label for row in rows}),
        "sha256": digest.hexdigest(),
    }
    text = json.dumps(meta, ensure_ascii=False, indent=2)
    (target / paths.PACKED_META).write_text(text + "\n", encoding="utf-8")
    # Without reading the array again.
    digests.seal(target, {paths.PACKED_ARRAY: array})


class _Hashed:
    """A file that is hashed while it is written."""

    def __init__(self, file: BinaryIO, digest: "hashlib._Hash") -> None:
        self._file = file
        self._digest = digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            # A failed write, as on a full disk, does not name the file by itself.
            error.filename = self._file.name
            raise


def _write_images(file: _Hashed, rows: Sequence[Row], pixels: Callable[[Row], bytes], shape: tuple[int, ...]) -> None:
    # A stream, not a memory map: a full disk would kill the process with SIGBUS.
    header = {"descr": npy.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)
    with mapped(pixels, rows) as decoded:
        for data in tqdm(decoded, "preprocess", len(rows), unit=" images", disable=None):
            file.write(data)


def _pixels(source: Path, size: int, resize: Resize, interpolation: Interpolation, row: Row) -> bytes:
    """Return one image as the bytes of uint8 (3, S, S)."""
    file = source / row.path
    try:
        digests.compare(file, digests.sha256(file), row.sha256, source.with_name(paths.MANIFEST.name))
        image = load(file, at_least=DRAFT * size, check=False).image
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; `dvc repro` collects it anew") from None
    except RefusedError as refusal:
        raise InputError(f"{file}: {refusal}; dvc repro collects it anew") from None
    pixels = np.asarray(resized(image, size, resize, interpolation=interpolation))
    return pixels.transpose(2, 0, 1).tobytes()
