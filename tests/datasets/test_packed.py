import hashlib
import json
import shutil
import tracemalloc
from collections import namedtuple

import numpy as np
import pytest
from PIL import Image

from pipeline.core import digests
from pipeline.core.errors import InputError
from pipeline.datasets.decoding import packing, parallel
from pipeline.datasets.decoding.images import load, resized
from pipeline.datasets.decoding.packing import pack
from pipeline.datasets.prepared.manifest import Row
from pipeline.datasets.prepared.packed import Packed

SIZE = 16


def _row(source, file) -> Row:
    path = file.relative_to(source).as_posix()
    return Row(path, path.split("/")[0], "", 1, digests.sha256(file), 1, 1, "RGB", "")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "images"
    for number, name in enumerate(["b/1.png", "b/2.jpg", "a/l'été, 1.png", "a/4.jpg"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (200, 300, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def rows(source):
    files = sorted(file for file in source.rglob("*") if file.is_file())
    return [_row(source, file) for file in files]


@pytest.fixture
def target(tmp_path):
    return tmp_path / "packed"


def _pack(rows, source, target, *, size=SIZE, resize="stretch", interpolation="bilinear"):
    pack(rows, source, target, size=size, resize=resize, interpolation=interpolation)
    return target


def test_the_array_is_n_3_s_s_of_bytes_in_the_manifests_order(rows, source, target):
    opened = Packed.open(_pack(rows, source, target))
    assert (opened.images.shape, opened.images.dtype) == ((4, 3, SIZE, SIZE), np.uint8)
    assert opened.paths == [row.path for row in rows]
    for row, image in zip(rows, opened.images, strict=True):
        expected = resized(load(source / row.path, at_least=2 * SIZE).image, SIZE, "stretch", interpolation="bilinear")
        np.testing.assert_array_equal(image, np.asarray(expected).transpose(2, 0, 1))


def test_labels_are_places_among_the_sorted_classes(rows, source, target):
    opened = Packed.open(_pack(rows, source, target))
    assert opened.classes == ["a", "b"]
    assert opened.labels.tolist() == [0, 0, 1, 1]


def test_the_mean_and_deviation_are_imagenets(rows, source, target):
    opened = Packed.open(_pack(rows, source, target))
    assert (opened.mean, opened.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_the_array_is_mapped_from_disk_and_read_only(rows, source, target):
    opened = Packed.open(_pack(rows, source, target))
    assert isinstance(opened.images, np.memmap)
    assert not opened.images.flags.writeable


def test_the_array_is_a_standard_npy_file(rows, source, target):
    _pack(rows, source, target)
    np.testing.assert_array_equal(np.load(target / "images.npy"), Packed.open(target).images)


def test_the_hash_is_over_array_and_index(rows, source, target):
    _pack(rows, source, target)
    content = (target / "images.npy").read_bytes() + (target / "index.csv").read_bytes()
    assert Packed.open(target).sha256 == hashlib.sha256(content).hexdigest()


def test_crop_and_stretch_differ_and_are_recorded(rows, source, target):
    stretched = Packed.open(_pack(rows, source, target / "s", resize="stretch"))
    cropped = Packed.open(_pack(rows, source, target / "c", resize="crop"))
    assert not np.array_equal(stretched.images, cropped.images)
    assert json.loads((target / "c/meta.json").read_text())["resize"] == "crop"


def test_bicubic_images_are_pillows_and_are_recorded(rows, source, target):
    opened = Packed.open(_pack(rows, source, target, interpolation="bicubic"))
    for row, image in zip(rows, opened.images, strict=True):
        expected = load(source / row.path, at_least=2 * SIZE).image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(image, np.asarray(expected).transpose(2, 0, 1))
    assert json.loads((target / "meta.json").read_text())["interpolation"] == "bicubic"


def test_a_jpeg_is_decoded_no_smaller_than_twice_the_target(rows, source, target, monkeypatch):
    asked = []

    def note(path, *, at_least, check):
        asked.append(at_least)
        return load(path, at_least=at_least, check=check)

    monkeypatch.setattr(packing, "load", note)
    _pack(rows, source, target)
    assert asked == [2 * SIZE] * 4


def test_workers_pack_the_same_as_one_process(rows, source, target, monkeypatch):
    alone = Packed.open(_pack(rows, source, target / "alone"))
    monkeypatch.setattr(parallel, "_SECONDS_ALONE", 0)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    assert Packed.open(_pack(rows, source, target / "workers")).sha256 == alone.sha256


def test_a_large_set_is_packed_in_little_memory(rows, source, target, monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    tracemalloc.start()
    _pack(rows * 100, source, target, size=128)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (target / "images.npy").stat().st_size > 19_000_000
    assert peak < 3_000_000


def test_an_image_that_was_changed_since_is_named(rows, source, target):
    file = source / "b/1.png"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"^.*images/b/1.png: damaged: .* and manifest\.csv has .*`dvc repro`"):
        _pack(rows, source, target)


def test_an_image_that_cannot_be_decoded_any_more_is_named(rows, source, target):
    (source / "b/1.png").write_bytes(b"")
    rows[2] = _row(source, source / "b/1.png")
    with pytest.raises(InputError, match=r"^.*images/b/1.png: empty: 0 bytes; dvc repro collects it again$"):
        _pack(rows, source, target)


def test_an_image_that_is_gone_is_named(rows, source, target):
    (source / "b/1.png").unlink()
    with pytest.raises(InputError, match=r"^.*images/b/1.png: no such file; `dvc repro` collects it again$"):
        _pack(rows, source, target)


def test_a_disk_without_room_is_reported_before_anything_is_decoded(rows, source, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1_000_000))
    message = r"^.*packed: 12\.6 MB needed, 1\.0 MB free on its disk; free some, or choose a smaller image_size$"
    with pytest.raises(InputError, match=message):
        _pack(rows, source, target, size=1024)


@pytest.mark.parametrize("name", ["images.npy", "index.csv", "meta.json"])
def test_a_missing_file_is_named(rows, source, target, name):
    (_pack(rows, source, target) / name).unlink()
    with pytest.raises(InputError, match=rf"^.*{name}: no such file; `dvc repro` makes it$"):
        Packed.open(target)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("images.npy", lambda content: content[:-1]),
        ("images.npy", lambda content: content[:20]),
        ("images.npy", lambda content: b""),
        ("index.csv", lambda content: content.rsplit(b"\n", 2)[0] + b"\n"),
        ("meta.json", lambda content: b"{}"),
        ("meta.json", lambda content: b"no"),
        ("meta.json", lambda content: b"[]"),
        ("meta.json", lambda content: content.replace(b'"b"', b'"c"')),
    ],
)
def test_files_that_do_not_fit_are_refused(rows, source, target, name, change):
    file = _pack(rows, source, target) / name
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(InputError, match=rf"^.*{name}: damaged: its SHA-256 is \w+\.\.\., and SHA256SUMS has"):
        Packed.open(target)
    digests.seal(target)
    with pytest.raises(InputError, match=r"^.*packed: not a packed set \(.*\); `dvc repro` makes it again$"):
        Packed.open(target)
