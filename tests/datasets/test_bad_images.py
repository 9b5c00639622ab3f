"""Kinds of files among photographs, and the result of each: an image, or a reason in one line.

The table is a promise to users: a file that cannot be used is reported with its name and a reason, one that had to be
converted has a note, and none ends the run or is passed over without a word.
"""

import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.datasets.collect.collecting import bring
from pipeline.datasets.collect.folder import ImageFile, LeftOut, layout
from pipeline.datasets.decoding import images
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Rejected, Row

UNKNOWN = r"not an image, or damaged at its start; these can be read: JPEG, PNG"
UNREADABLE = r"cannot be read: \S"
ENDLESS = r"cannot be read: its end is missing$"
ORIENTATION, TURNED_LEFT = 0x0112, 6


class Kind(NamedTuple):
    """A kind of file: a function that makes one, and the expected reason or note (a pattern)."""

    make: Callable[[Path], object]
    message: str


def noise(width: int = 60, height: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(kind: str = "JPEG", image: Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (noise() if image is None else image).save(stream, kind, **options)
    return stream.getvalue()


def png(header: bytes, pixels: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png_header(width: int, height: int, *, bits: int = 8) -> bytes:
    return struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)


def content(data: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(data)


def cut(data: bytes, part: float) -> Callable[[Path], object]:
    return content(data[: int(len(data) * part)])


def changed(data: bytes, place: int, byte: bytes) -> Callable[[Path], object]:
    return content(data[:place] + byte + data[place + len(byte) :])


def animation(kind: str) -> Callable[[Path], object]:
    return content(encoded(kind, save_all=True, append_images=[noise().rotate(180)]))


def pixels(kind: str, values: object) -> Callable[[Path], object]:
    return content(encoded(kind, Image.fromarray(np.asarray(values))))


def mode(name: str, kind: str = "PNG", **options: object) -> Callable[[Path], object]:
    return content(encoded(kind, noise().convert(name), **options))


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


def linked(file: Path) -> None:
    elsewhere = file.with_name("elsewhere")
    elsewhere.write_bytes(JPEG)
    file.symlink_to(elsewhere)


def without_adobe(data: bytes) -> bytes:
    """Return a JPEG without Photoshop's marker of inverted inks."""
    start = data.index(b"\xff\xee")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4]) :]


def with_preview(data: bytes) -> bytes:
    """Return a JPEG with a preview in its header, as cameras write it, after a fill byte."""
    preview = b"\0" + encoded(image=noise(16, 16))
    return data[:2] + b"\xff\xff\xe1" + (len(preview) + 2).to_bytes(2) + preview + data[2:]


JPEG, PNG = encoded(), encoded("PNG")
IDAT = PNG.index(b"IDAT")
SIZE_OF_JPEG = JPEG.index(b"\xff\xc0") + 5

SRGB, LAB = (ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes() for name in ("sRGB", "LAB"))

REFUSED = {
    "a PNG of which the lower 12 of 16 bits are used": Kind(
        content(png(png_header(1, 1, bits=16), zlib.compress(b"\0" + 3 * b"\x0f\xff"))),
        r"16 bits a channel to 8, which leaves it nearly black; scale it to 8 bits and save it again$",
    ),
    "no byte at all": Kind(Path.touch, r"empty: 0 bytes"),
    "one byte": Kind(content(b"\xff"), UNKNOWN),
    "text": Kind(content(b"hello, world\n"), UNKNOWN),
    "an error page of a server": Kind(content(b"<!DOCTYPE html><title>404 Not Found</title>"), UNKNOWN),
    "an answer in JSON": Kind(content(b'{"error": "quota exceeded"}'), UNKNOWN),
    "a pointer of Git LFS": Kind(content(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), UNKNOWN),
    "a drawing in SVG": Kind(content(b'<svg xmlns="http://www.w3.org/2000/svg"/>'), UNKNOWN),
    "a document in PDF": Kind(content(encoded("PDF")), UNKNOWN),
    "a page in PostScript": Kind(content(b"%!PS-Adobe-3.0 EPSF-3.0\n"), UNKNOWN),
    "a file of Photoshop": Kind(content(b"8BPS\0\1" + bytes(20)), UNKNOWN),
    "an icon": Kind(content(encoded("ICO")), UNKNOWN),
    "an archive": Kind(content(b"PK\3\4" + bytes(60)), UNKNOWN),
    "a film": Kind(content(b"\0\0\0\x18ftypmp42" + bytes(40)), UNKNOWN),
    "zeros": Kind(content(bytes(100)), UNKNOWN),
    "a photograph in HEIC": Kind(content(b"\0\0\0\x18ftypheic" + bytes(50)), r"a HEIC image; save it as JPEG or PNG"),
    "a JPEG without its first bytes": Kind(content(JPEG[2:]), UNKNOWN),
    "a JPEG cut in its header": Kind(cut(JPEG, 0.05), f"({UNKNOWN}|{UNREADABLE})"),
    "a JPEG cut in the middle": Kind(cut(JPEG, 0.5), ENDLESS),
    "a JPEG cut shortly before its end": Kind(cut(JPEG, 0.97), ENDLESS),
    "a JPEG without its last two bytes": Kind(content(JPEG[:-2]), ENDLESS),
    "a JPEG half written, zeros in place of the rest": Kind(
        content(JPEG[: len(JPEG) // 2] + bytes(len(JPEG))), ENDLESS
    ),
    "a JPEG half written, with a whole preview in its header": Kind(
        content(with_preview(JPEG)[:-500] + bytes(500)), ENDLESS
    ),
    "a progressive JPEG cut in the middle": Kind(cut(encoded(progressive=True), 0.5), ENDLESS),
    "a JPEG of no height": Kind(changed(JPEG, SIZE_OF_JPEG, b"\0\0"), f"({UNKNOWN}|{UNREADABLE})"),
    "a JPEG said to be lossless": Kind(changed(JPEG, SIZE_OF_JPEG - 5, b"\xff\xc3"), f"({UNKNOWN}|{UNREADABLE})"),
    "a JPEG said to be hierarchical": Kind(changed(JPEG, SIZE_OF_JPEG - 5, b"\xff\xc5"), f"({UNKNOWN}|{UNREADABLE})"),
    "a PNG cut in the middle": Kind(cut(PNG, 0.5), UNREADABLE),
    "a PNG without its end": Kind(content(PNG[:-12]), UNREADABLE),
    "a PNG of which a byte flipped": Kind(changed(PNG, IDAT + 100, bytes([PNG[IDAT + 100] ^ 1])), UNREADABLE),
    "a PNG with a wrong check sum": Kind(changed(PNG, len(PNG) - 16, b"\0\0\0\0"), UNREADABLE),
    "a PNG that unpacks to nonsense": Kind(content(png(png_header(8, 8), b"no zlib")), UNREADABLE),
    "a PNG with too few pixels": Kind(content(png(png_header(8, 8), zlib.compress(bytes(20)))), UNREADABLE),
    "a PNG without width": Kind(content(png(png_header(0, 8), zlib.compress(b""))), f"({UNKNOWN}|{UNREADABLE})"),
    "a GIF cut in the middle": Kind(cut(encoded("GIF"), 0.5), UNREADABLE),
    "a BMP cut in the middle": Kind(cut(encoded("BMP"), 0.5), UNREADABLE),
    "a TIFF cut in the middle": Kind(cut(encoded("TIFF"), 0.5), UNREADABLE),
    "a WebP cut in the middle": Kind(cut(encoded("WEBP"), 0.5), UNREADABLE),
    "an AVIF cut in the middle": Kind(cut(encoded("AVIF"), 0.5), f"({UNKNOWN}|{UNREADABLE})"),
    "a JPEG 2000 cut in its header": Kind(cut(encoded("JPEG2000"), 0.02), f"({UNKNOWN}|{UNREADABLE})"),
    "a PPM cut in the middle": Kind(cut(encoded("PPM"), 0.5), UNREADABLE),
    "an animated GIF": Kind(animation("GIF"), r"2 frames; save the one that is meant as an image of its own"),
    "an animated PNG": Kind(animation("PNG"), r"2 frames; save the one that is meant"),
    "an animated WebP": Kind(animation("WEBP"), r"2 frames; save the one that is meant"),
    "an animated AVIF": Kind(animation("AVIF"), r"2 frames; save the one that is meant"),
    "a TIFF of several pages": Kind(animation("TIFF"), r"2 frames; save the one that is meant"),
    "gray of 16 bits": Kind(
        pixels("PNG", np.zeros((8, 8), np.uint16)), r"pixels of mode I;16; save it as RGB with 8 bits a channel"
    ),
    "gray of 32 bits": Kind(pixels("TIFF", np.zeros((8, 8), np.int32)), r"pixels of mode I; save it as RGB"),
    "gray of floats": Kind(pixels("TIFF", np.zeros((8, 8), np.float32)), r"pixels of mode F; save it as RGB"),
    "colors in Lab": Kind(mode("LAB", "TIFF"), r"pixels of mode LAB; save it as RGB"),
    "a bomb of 400 million pixels": Kind(
        content(png(png_header(20_000, 20_000), b"")), r"more than 89,478,485 pixels; make it smaller first"
    ),
    "just too many pixels": Kind(content(png(png_header(10_000, 9_500), b"")), r"more than 89,478,485 pixels"),
    "a JPEG said to be huge": Kind(changed(JPEG, SIZE_OF_JPEG, b"\xff\xdc\xff\xdc"), r"more than 89,478,485 pixels"),
    "a folder": Kind(Path.mkdir, r"not a regular file"),
    "a pipe": Kind(os.mkfifo, r"not a regular file"),
    "a link to nothing": Kind(lambda file: file.symlink_to("nowhere"), r"missing, or a link to nothing"),
    "a link to itself": Kind(lambda file: file.symlink_to(file.name), r"missing, or a link to nothing"),
}

USED = {
    "a JPEG": Kind(content(JPEG), ""),
    "a progressive JPEG": Kind(content(encoded(progressive=True)), ""),
    "a JPEG with a preview in its header": Kind(content(with_preview(JPEG)), ""),
    "a JPEG with other bytes behind": Kind(content(JPEG + b"and a sound recording"), ""),
    "a JPEG with zeros behind, as of a recovered card": Kind(content(JPEG + bytes(5000)), ""),
    "a JPEG in gray": Kind(mode("L", "JPEG"), "gray to RGB"),
    "a JPEG in four inks": Kind(mode("CMYK", "JPEG"), "CMYK to RGB"),
    "a JPEG in four inks that Photoshop did not mark": Kind(
        content(without_adobe(encoded(image=noise().convert("CMYK")))), "CMYK to RGB"
    ),
    "a JPEG that lies on its side": Kind(content(encoded(exif=turned(TURNED_LEFT))), "rotated by EXIF"),
    "a JPEG with an orientation that there is not": Kind(content(encoded(exif=turned(9))), ""),
    "a JPEG with broken EXIF": Kind(content(encoded(exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")), ""),
    "a JPEG with a broken color profile": Kind(content(encoded(icc_profile=b"no profile")), ""),
    "a phone's JPEG with a second picture": Kind(
        content(encoded("MPO", save_all=True, append_images=[noise(20, 20)])), "first of 2 pictures"
    ),
    "a PNG with a broken color profile": Kind(content(encoded("PNG", icc_profile=b"no profile")), ""),
    "a PNG of one pixel": Kind(content(encoded("PNG", noise(1, 1))), ""),
    "a PNG of one row": Kind(content(encoded("PNG", noise(5000, 1))), ""),
    "a PNG of one column": Kind(content(encoded("PNG", noise(1, 5000))), ""),
    "a PNG of 16 bits a color": Kind(
        content(png(png_header(1, 1, bits=16), zlib.compress(b"\0" + 6 * b"\xff"))), "16 bits a channel to 8"
    ),
    "a JPEG in sRGB, which says so": Kind(content(encoded(icc_profile=SRGB)), ""),
    "a JPEG in another color profile": Kind(
        content(encoded(icc_profile=LAB)), "color profile Lab identity built-in ignored"
    ),
    "a PNG of few colors": Kind(mode("P"), "palette to RGB"),
    "a PNG of few colors, one of them transparent": Kind(mode("P", transparency=0), "transparency on white"),
    "a transparent PNG": Kind(mode("RGBA"), "transparency on white"),
    "a PNG in black and white": Kind(mode("1"), "black and white to RGB"),
    "a GIF of one frame": Kind(content(encoded("GIF")), "palette to RGB"),
    "a TIFF in four inks": Kind(mode("CMYK", "TIFF"), "CMYK to RGB"),
    "a WebP": Kind(content(encoded("WEBP")), ""),
    "an AVIF": Kind(content(encoded("AVIF")), ""),
    "a JPEG 2000": Kind(content(encoded("JPEG2000")), ""),
    "a link to a photograph": Kind(linked, ""),
}


def brought(file: Path) -> tuple[list[Row], list[Rejected]]:
    target = file.parent / "images"
    target.mkdir()
    return bring([ImageFile(file, file.name, "cat", "")], target)


@pytest.mark.parametrize("kind", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_reported_in_one_line_with_file_and_reason(tmp_path, kind, capfd, recwarn):
    kind.make(tmp_path / "1.jpg")
    rows, (refused,) = brought(tmp_path / "1.jpg")
    assert rows == []
    assert refused.path == "1.jpg"
    assert re.match(kind.message, refused.reason), refused
    assert refused.reason.isprintable()
    assert not recwarn
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", USED.values(), ids=USED)
def test_what_can_be_used_is_used_with_a_note_of_what_was_converted(tmp_path, kind, capfd, recwarn):
    kind.make(tmp_path / "1.jpg")
    (row,), refused = brought(tmp_path / "1.jpg")
    assert refused == []
    assert row.note == kind.message
    assert not recwarn
    assert capfd.readouterr() == ("", "")


def test_a_file_that_may_not_be_read_is_reported(tmp_path, monkeypatch):
    (tmp_path / "1.jpg").write_bytes(JPEG)
    (tmp_path / "1.jpg").chmod(0)
    if os.access(tmp_path / "1.jpg", os.R_OK):
        # Root may read every file.
        monkeypatch.setattr(images.Image, "open", forbidden)
    assert brought(tmp_path / "1.jpg") == ([], [Rejected("1.jpg", "cannot be read: Permission denied")])


def forbidden(path: Path, **_: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("two\nlines.jpg", r"two\x0alines.jpg"), ("a\rb.jpg", r"a\x0db.jpg"), ("bell\a.jpg", r"bell\x07.jpg")],
)
def test_a_name_that_does_not_fit_on_a_line_is_reported(tmp_path, name, escaped):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(2):
            (tmp_path / label / f"{number}.jpg").touch()
    (tmp_path / "cat" / name).touch()
    files, left_out, *_ = layout(tmp_path)
    assert len(files) == 4
    assert left_out == [LeftOut(f"cat/{escaped}", "its name has control characters; rename it")]


def test_of_a_folder_of_all_kinds_each_file_is_either_an_image_or_reported_in_a_row_of_the_table(tmp_path):
    own = tmp_path / "own"
    kinds = REFUSED | USED
    for label in ("cat", "dog"):
        for number, kind in enumerate(kinds.values()):
            place = own / label / f"{number}"
            place.mkdir(parents=True)
            kind.make(place / "x.jpg")
    files = layout(own).files
    (tmp_path / "images").mkdir()
    rows, refused = bring(files, tmp_path / "images")
    manifest.write(tmp_path / "rejected.csv", Rejected, refused)
    assert len((tmp_path / "rejected.csv").read_text().splitlines()) == 1 + len(refused)
    assert manifest.read(tmp_path / "rejected.csv", Rejected) == refused
    assert sorted(row.path for row in (*rows, *refused)) == [file.path for file in files]
