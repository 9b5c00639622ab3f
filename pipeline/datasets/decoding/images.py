"""One image, as a file or its bytes, read as upright RGB with a note of conversions, or refused with a reason."""

import functools
import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import ExifTags, Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from pipeline.core.interpolation import BICUBIC, BILINEAR, Interpolation
from pipeline.datasets.decoding import color_profiles, jpeg_end, sixteen_bits

Resize = Literal["stretch", "crop"]

# Pillow's, both antialiased where an image gets smaller.
_RESAMPLING = {BILINEAR: Image.Resampling.BILINEAR, BICUBIC: Image.Resampling.BICUBIC}

# Raster formats of photographs. Pillow reads more, some by starting other programs (EPS runs Ghostscript).
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000")

_CONVERSIONS = {
    "RGB": "",
    "1": "black and white to RGB",
    "L": "gray to RGB",
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

# The operation that undoes an EXIF orientation; 1 is upright, and other numbers are undefined.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# A JPEG may be decoded at this many times the target or more, which leaves enough for antialiasing.
DRAFT = 2

# Exceptions of Pillow's readers on damaged files, besides its own, which are OSErrors.
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
    """An image ready for use.

    Attributes:
        image: upright, RGB, 8 bits a channel.
        mode: Pillow's name of the file's pixel format.
        note: conversions; empty if there were none.
    """

    image: Image.Image
    mode: str
    note: str


def load(source: Path | bytes, *, at_least: int | None = None, check: bool = True) -> Loaded:
    """Read the whole image, upright and in RGB; the format follows from the content, not from the name.

    Args:
        source: the file, with links followed, or its content.
        at_least: side in pixels; if set, a JPEG may be decoded smaller (by 2, 4 or 8, which is much faster), with
            neither side below this.
        check: look for damage that decoding ignores; without, a file that has been checked before is read faster.

    Raises:
        RefusedError: if the image cannot be used, with the reason; nothing is printed.
    """
    _check_is_something(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Above its limit Pillow only warns; here that image is refused.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _read(source, at_least, check=check)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise RefusedError(f"more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels; make it smaller first") from None
    except UnidentifiedImageError:
        raise RefusedError(_format_reason(source)) from None
    except MemoryError:
        raise RefusedError("needs more memory than there is") from None
    except _DAMAGE as error:
        raise RefusedError(_error_reason(error)) from None


def resized(image: Image.Image, size: int, resize: Resize, *, interpolation: Interpolation) -> Image.Image:
    """Return an image of `size` x `size` pixels, antialiased if it gets smaller.

    Args:
        image: of any size.
        size: side of the result, in pixels.
        resize: "stretch" both sides to `size`, or "crop": the short side to `size`, then the center.
        interpolation: between pixels.
    """
    if resize == "stretch":
        return image.resize((size, size), _RESAMPLING[interpolation])
    return ImageOps.fit(image, (size, size), _RESAMPLING[interpolation])


def _check_is_something(source: Path | bytes) -> None:
    """Refuse what is empty or no regular file, without opening it: a pipe would block."""
    try:
        if isinstance(source, Path) and not source.is_file():
            raise RefusedError("missing, or a link to nothing" if not source.exists() else "not a regular file")
        if not (source.stat().st_size if isinstance(source, Path) else source):
            raise RefusedError("empty: 0 bytes")
    except OSError as error:
        raise RefusedError(_error_reason(error)) from None


def _stream(source: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _read(source: Path | bytes, at_least: int | None, *, check: bool) -> Loaded:
    if check:
        _check_whole(source)
    with Image.open(_stream(source), formats=_formats()) as image:
        frames = _checked_frames(image)
        mode, bits = image.mode, sixteen_bits.note(image)
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        # Pillow itself turns a TIFF while it loads.
        turned_on_load = isinstance(image, TiffImagePlugin.TiffImageFile) and _orientation(image) in _TURNS
        image.load()
        upright, turned = _upright(image)
        rgb, conversion = _rgb(upright)
        profile = color_profiles.note(image)
    if bits and sixteen_bits.are_lower_ones(rgb):
        raise RefusedError(f"{bits}, which leaves it nearly black; scale it to 8 bits and save it again")
    notes = (frames, conversion, bits, profile, "rotated by EXIF" if turned or turned_on_load else "")
    return Loaded(rgb, mode, ", ".join(filter(None, notes)))


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return the formats that this build of Pillow can read, of those above."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _check_whole(source: Path | bytes) -> None:
    """Refuse damage that decoding ignores: wrong checksums of a PNG, a missing end of a JPEG.

    A half-written JPEG may have its full length, with zeros that decode to gray. Damage inside a JPEG that still
    decodes is not detected, as the format has no checksums.
    """
    with Image.open(_stream(source), formats=_formats()) as image:
        if isinstance(image, PngImagePlugin.PngImageFile):
            image.verify()
        is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
    if is_jpeg and not jpeg_end.is_there(_content(source)):
        raise RefusedError("cannot be read: its end is missing")


def _checked_frames(image: Image.Image) -> str:
    """Refuse animations and pixels of more than 8 bits; return a note if an MPO has further pictures."""
    frames = getattr(image, "n_frames", 1)
    # An MPO is a phone's JPEG with a depth map, a gain map or a preview after the photograph.
    if frames > 1 and image.format != "MPO":
        raise RefusedError(f"{frames} frames; save the one that is meant as an image of its own")
    if image.mode not in _CONVERSIONS:
        raise RefusedError(f"pixels of mode {image.mode}; save it as RGB with 8 bits a channel")
    return f"first of {frames} pictures" if frames > 1 else ""


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGE:
        # The pixels may be fine although the EXIF data are damaged.
        return 1


def _upright(image: Image.Image) -> tuple[Image.Image, bool]:
    turn = _TURNS.get(_orientation(image))
    return (image, False) if turn is None else (image.transpose(turn), True)


def _rgb(image: Image.Image) -> tuple[Image.Image, str]:
    note = _CONVERSIONS[image.mode]
    if not image.has_transparency_data:
        return image.convert("RGB"), note
    layer = image.convert("RGBA")
    background = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(background, layer).convert("RGB"), "transparency on white"


def _format_reason(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        start = source[:12]
    else:
        with source.open("rb") as file:
            start = file.read(12)
    if start[4:8] == b"ftyp" and start[8:10] in (b"he", b"mi", b"ms"):
        return "a HEIC image; save it as JPEG or PNG"
    return f"not an image, or damaged at its start; these can be read: {', '.join(_FORMATS)}"


def _error_reason(error: BaseException) -> str:
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read: {' '.join(message.split()) or type(error).__name__}"
