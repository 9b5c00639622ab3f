"""The writer of packed sets: decodes and resizes every image once, on all cores, in bounded memory."""

import errno
import functools
import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from pipeline.core import digests, paths, progress
from pipeline.core.errors import InputError
from pipeline.core.interpolation import Interpolation
from pipeline.core.space import check_room
from pipeline.datasets.decoding.images import DRAFT, RefusedError, Resize, load, resized
from pipeline.datasets.decoding.parallel import mapped
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Indexed, Row

# Images that a worker decodes and writes at once.
CHUNK = 16
# Returns the bytes of one image.
Pixels = Callable[[Row], bytes]
# Where in the file some images begin, and these.
Chunk = tuple[int, Sequence[Row]]


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
    one = functools.partial(_pixels, source, size, resize, interpolation)
    digest = _write_images(target / paths.PACKED_ARRAY, rows, one, shape)
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


def _write_images(file: Path, rows: Sequence[Row], pixels: Pixels, shape: tuple[int, ...]) -> "hashlib._Hash":
    """Write a NumPy array to which workers write their own images, and return the hash of its bytes."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    begin, image = len(header.getvalue()), int(np.prod(shape[1:]))
    digest = hashlib.sha256()
    starts = range(0, len(rows), CHUNK)
    chunks = [(begin + start * image, rows[start : start + CHUNK]) for start in starts]
    work = functools.partial(_write_chunk, file, pixels)
    bar = progress.bar(len(rows), "preprocess", "images")
    with file.open("w+b", buffering=0) as stream, paths.naming(file), mapped(work, chunks) as written, bar:
        # Writes and reads, no memory map: a full disk would kill the process with SIGBUS.
        _reserve(stream.fileno(), begin + len(rows) * image)
        stream.write(header.getvalue())
        digest.update(header.getvalue())
        for (_, members), count in zip(chunks, written, strict=True):
            # In order, while it is in the system's memory.
            data = stream.read(count)
            if len(data) != count:
                raise OSError(errno.EIO, f"{len(data)} of {count} bytes are there")
            digest.update(data)
            bar.update(len(members))
    return digest


def _write_chunk(file: Path, pixels: Pixels, chunk: Chunk) -> int:
    """Write some images from a place in the file on, and return how many bytes they are."""
    place, rows = chunk
    data = b"".join(map(pixels, rows))
    with paths.naming(file), file.open("r+b", buffering=0) as stream:
        stream.seek(place)
        # One write of an unbuffered file may take a part alone.
        left = memoryview(data)
        while left:
            left = left[stream.write(left) :]
    return len(data)


def _reserve(file: int, size: int) -> None:
    """Have the disk keep room for all of a file, where system and file system can."""
    try:
        os.posix_fallocate(file, 0, size)
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        os.truncate(file, size)


def _pixels(source: Path, size: int, resize: Resize, interpolation: Interpolation, row: Row) -> bytes:
    """Return one image as the bytes of uint8 (3, S, S)."""
    file = source / row.path
    try:
        content = file.read_bytes()
        digests.compare(file, hashlib.sha256(content).hexdigest(), row.sha256, source.with_name(paths.MANIFEST.name))
        image = load(content, at_least=DRAFT * size, check=False).image
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; `dvc repro` collects it again") from None
    except RefusedError as refusal:
        raise InputError(f"{file}: {refusal}; dvc repro collects it again") from None
    # A color after the other, which Pillow tells apart faster than NumPy.
    colors = resized(image, size, resize, interpolation=interpolation).split()
    return b"".join(color.tobytes() for color in colors)
