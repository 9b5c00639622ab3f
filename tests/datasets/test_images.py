import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.decoding import images
from pipeline.datasets.decoding.images import RefusedError, load, resized


def _noise(width: int = 60, height: int = 40) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _saved(folder: Path, name: str, image: Image.Image, **options: object) -> Path:
    file = folder / name
    image.save(file, **options)
    return file


def _png(header: bytes, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "A.PNG", "wrong suffix.txt", "none"])
def test_a_lossless_image_comes_as_it_is_whatever_its_name(tmp_path, name):
    kind = {".bmp": "BMP", ".tif": "TIFF", ".ppm": "PPM"}.get(Path(name).suffix, "PNG")
    loaded = load(_saved(tmp_path, name, _noise(), format=kind))
    assert (loaded.mode, loaded.note) == ("RGB", "")
    np.testing.assert_array_equal(loaded.image, _noise())


@pytest.mark.parametrize(
    ("mode", "suffix", "note"),
    [
        ("CMYK", "jpg", "CMYK to RGB"),
        ("CMYK", "tif", "CMYK to RGB"),
        ("P", "png", "palette to RGB"),
        ("P", "gif", "palette to RGB"),
        ("L", "jpg", "gray to RGB"),
        ("1", "png", "black and white to RGB"),
        ("YCbCr", "tif", "YCbCr to RGB"),
        ("LA", "png", "transparency on white"),
        ("RGBA", "png", "transparency on white"),
    ],
)
def test_other_modes_become_rgb_with_a_note(tmp_path, mode, suffix, note):
    loaded = load(_saved(tmp_path, f"a.{suffix}", _noise().convert(mode)))
    assert (loaded.image.mode, loaded.mode, loaded.note) == ("RGB", mode, note)


def test_what_is_transparent_becomes_white(tmp_path):
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    clear.putpixel((0, 0), (10, 20, 30, 255))
    image = load(_saved(tmp_path, "a.png", clear)).image
    assert (image.getpixel((0, 0)), image.getpixel((1, 1))) == ((10, 20, 30), (255, 255, 255))


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_transparent_color_becomes_white(tmp_path, mode):
    image = Image.new(mode, (4, 4))
    key = image.getpixel((0, 0))
    loaded = load(_saved(tmp_path, "a.png", image, transparency=key))
    assert loaded.note == "transparency on white"
    assert loaded.image.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_rotation_is_applied(tmp_path, suffix, orientation):
    upright = Image.new("RGB", (60, 40))
    upright.paste((255, 0, 0), (0, 0, 30, 20))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    stored = upright.transpose(Image.Transpose(undo))
    loaded = load(_saved(tmp_path, f"a.{suffix}", stored, exif=exif, **options))
    assert loaded.note == "rotated by EXIF"
    np.testing.assert_array_equal(loaded.image, upright)


def test_sixteen_bit_color_becomes_eight_with_a_note(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(_png(struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0), b"\0" + struct.pack(">3H", 0xFFFF, 0x8000, 0)))
    loaded = load(file)
    assert (loaded.image.getpixel((0, 0)), loaded.note) == ((255, 128, 0), "16 bits a channel to 8")


def test_any_flipped_bit_of_a_png_is_refused(tmp_path):
    whole = _saved(tmp_path, "a.png", _noise()).read_bytes()
    places = np.random.default_rng(0).integers(8 * 33, 8 * len(whole), 50)
    for place in places:
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        (tmp_path / "b.png").write_bytes(flipped)
        with pytest.raises(RefusedError, match=r"^(cannot be read|more than)"):
            load(tmp_path / "b.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif", "ppm", "avif"])
def test_flipped_bits_are_read_or_refused_but_never_end_the_run(tmp_path, suffix):
    whole = _saved(tmp_path, f"a.{suffix}", _noise()).read_bytes()
    rng = np.random.default_rng(1)
    outcomes: list[str] = []
    for _ in range(150):
        flipped = bytearray(whole)
        # The structure is in the first bytes, where a changed byte has the largest effect.
        for place in rng.integers(0, min(len(whole), 300), 2):
            flipped[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "b").write_bytes(flipped)
        try:
            outcomes.append(load(tmp_path / "b").image.mode)
        except RefusedError as refusal:
            outcomes.append(str(refusal))
    assert set(outcomes) - {"RGB"}
    assert "\n" not in "".join(outcomes)


def test_want_of_memory_is_a_reason(tmp_path, monkeypatch):
    def fail(*_: object, check: bool) -> None:
        raise MemoryError

    monkeypatch.setattr(images, "_read", fail)
    with pytest.raises(RefusedError, match=r"^needs more memory than there is$"):
        load(_saved(tmp_path, "a.png", _noise()))


def test_nothing_is_printed(tmp_path, capfd, recwarn):
    file = _saved(tmp_path, "a.tif", _noise())
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(RefusedError):
        load(file)
    assert not recwarn
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_may_be_decoded_smaller_but_not_below_what_is_asked(tmp_path):
    file = _saved(tmp_path, "a.jpg", _noise(640, 480))
    assert load(file).image.size == (640, 480)
    assert load(file, at_least=120).image.size == (160, 120)
    assert load(file, at_least=121).image.size == (320, 240)
    assert load(file, at_least=1000).image.size == (640, 480)


def test_stretch_uses_the_whole_image_and_crop_its_centre():
    thirds = Image.new("RGB", (90, 30), "red")
    thirds.paste("blue", (30, 0, 60, 30))
    stretched, cropped = (resized(thirds, 30, way, interpolation="bilinear") for way in ("stretch", "crop"))
    assert stretched.size == cropped.size == (30, 30)
    assert (stretched.getpixel((0, 0)), stretched.getpixel((15, 15))) == ((255, 0, 0), (0, 0, 255))
    assert cropped.getcolors() == [(900, (0, 0, 255))]


def test_smaller_images_are_antialiased():
    stripes = Image.fromarray(np.tile(np.array([[0, 255]], np.uint8), (64, 32)))
    # A choice of single pixels would give 0 or 255.
    assert np.ptp(np.asarray(resized(stripes, 8, "stretch", interpolation="bilinear"))) < 10
