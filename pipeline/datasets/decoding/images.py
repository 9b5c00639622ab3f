"""One image file: read it as upright RGB, say what was converted, or say why it cannot be used."""

import functools
import struct
import warnings
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import ExifTags, Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

Resize = Literal["stretch", "crop"]

# Raster formats of photographs. Pillow knows more, some of which start other programs (EPS runs Ghostscript).
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000")

_CONVERSIONS = {
    "RGB": "",
    "1": "black and white to RGB",
    "L": "grey to RGB",
    "P": "palette to RGB",
    "CMYK": "CMYK to RGB",
    "YCbCr": "YCbCr to RGB",
    "RGBX": "RGBX to RGB",
    "LA": "transparency on white",
    "La": "transparency on white",
    "PA": "transparency on white",
    "RGBA": "transparency on white",
    "RGBa": "transparency on white",
}

# How an EXIF orientation is undone; 1 is upright and any other number means nothing.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Where a JPEG's pixels begin, and its end; among the pixels no other bytes look like it.
_JPEG_PIXELS, _JPEG_END, _JPEG_FILLER = b"\xff\xda", b"\xff\xd9", b"\xff\xff"

# What Pillow's readers let through on damaged files, besides its own errors, which are OSErrors.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    struct.error,
    zlib.error,
)


class RefusedError(Exception):
    """An image that cannot be used; the message is the reason, on one line."""


class Loaded(NamedTuple):
    """An image as it is used.

    Attributes:
        image: upright, RGB, 8 bits a channel.
        mode: Pillow's name of how the pixels are stored in the file.
        note: what was converted; empty where nothing was.
    """

    image: Image.Image
    mode: str
    note: str


def load(path: Path, *, at_least: int | None = None) -> Loaded:
    """Read the whole image, upright and in RGB; the file is judged by its content, not by its name.

    Args:
        path: the file; links are followed.
        at_least: where given, a JPEG may be decoded smaller (by 2, 4 or 8, which is much faster) as long as
            both of its sides keep this many pixels.

    Raises:
        RefusedError: with the reason; nothing is printed.
    """
    _check_is_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _read(path, at_least)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise RefusedError(f"more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels; make it smaller first") from None
    except UnidentifiedImageError:
        raise RefusedError(_unknown(path)) from None
    except MemoryError:
        raise RefusedError("needs more memory than there is") from None
    except _DAMAGE as error:
        raise RefusedError(_told(error)) from None


def resized(image: Image.Image, size: int, resize: Resize) -> Image.Image:
    """Bring an image to `size` x `size` pixels, bilinear, with antialiasing where it gets smaller.

    Args:
        image: any size.
        size: both sides of the result, in pixels.
        resize: "stretch" both sides to `size`, or "crop": the short side to `size`, then the centre.
    """
    if resize == "stretch":
        return image.resize((size, size), Image.Resampling.BILINEAR)
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def _check_is_file(path: Path) -> None:
    """Opening a pipe would wait for ever, so look first."""
    try:
        if not path.is_file():
            raise RefusedError("missing, or a link to nothing" if not path.exists() else "not a regular file")
        if path.stat().st_size == 0:
            raise RefusedError("empty: 0 bytes")
    except OSError as error:
        raise RefusedError(_told(error)) from None


def _read(path: Path, at_least: int | None) -> Loaded:
    # Once is enough: who asks for a smaller JPEG has had the whole file checked before.
    if at_least is None:
        _check_whole(path)
    with Image.open(path, formats=_formats()) as image:
        frames = _checked_frames(image)
        mode, bits = image.mode, _sixteen_bits(image)
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        turned_on_load = isinstance(image, TiffImagePlugin.TiffImageFile) and _orientation(image) in _TURNS
        image.load()
        upright, turned = _upright(image)
        rgb, conversion = _rgb(upright)
    notes = (frames, conversion, bits, "rotated by EXIF" if turned or turned_on_load else "")
    return Loaded(rgb, mode, ", ".join(filter(None, notes)))


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _check_whole(path: Path) -> None:
    """Look for damage that decoding passes over: a PNG's check sums, and whether the end of a JPEG is there.

    A half-written JPEG may be as long as it should be, zeros in place of the rest, which decode to grey. Damage in
    between goes unseen where it still decodes: a JPEG has no check sums.
    """
    with Image.open(path, formats=_formats()) as image:
        if isinstance(image, PngImagePlugin.PngImageFile):
            image.verify()
        jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
    if jpeg and not _ends(path.read_bytes()):
        raise RefusedError("cannot be read: its end is missing")


def _ends(jpeg: bytes) -> bool:
    """Whether a JPEG's pixels come to an end; that of a preview in its header does not count."""
    place = 2
    while (marker := jpeg[place : place + 2]) != _JPEG_PIXELS and marker[:1] == b"\xff":
        place += 1 if marker == _JPEG_FILLER else 2 + int.from_bytes(jpeg[place + 2 : place + 4])
    return jpeg.find(_JPEG_END, place) >= 0


def _checked_frames(image: Image.Image) -> str:
    """Refuse animations and what has more than 8 bits; an MPO's further pictures are worth a note."""
    frames = getattr(image, "n_frames", 1)
    # An MPO is a phone's JPEG with a depth map, a gain map or a preview behind the photograph.
    if frames > 1 and image.format != "MPO":
        raise RefusedError(f"{frames} frames; save the one that is meant as an image of its own")
    if image.mode not in _CONVERSIONS:
        raise RefusedError(f"pixels of mode {image.mode}; save it as RGB with 8 bits a channel")
    return f"first of {frames} pictures" if frames > 1 else ""


def _sixteen_bits(image: Image.Image) -> str:
    """Pillow keeps the upper eight of the sixteen bits of a colour image by itself, without a word."""
    tiles = getattr(image, "tile", ())
    return "16 bits a channel to 8" if any(";16" in str(tile[-1]) for tile in tiles) else ""


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGE:
        # Broken EXIF says nothing about the pixels.
        return 1


def _upright(image: Image.Image) -> tuple[Image.Image, bool]:
    turn = _TURNS.get(_orientation(image))
    return (image, False) if turn is None else (image.transpose(turn), True)


def _rgb(image: Image.Image) -> tuple[Image.Image, str]:
    note = _CONVERSIONS[image.mode]
    if not image.has_transparency_data:
        return image.convert("RGB"), note
    layer = image.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(paper, layer).convert("RGB"), "transparency on white"


def _unknown(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp" and start[8:10] in (b"he", b"mi", b"ms"):
        return "a HEIC image; save it as JPEG or PNG"
    return f"not an image, or damaged at its start; these can be read: {', '.join(_FORMATS)}"


def _told(error: BaseException) -> str:
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read: {' '.join(message.split()) or type(error).__name__}"
