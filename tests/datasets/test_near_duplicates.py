import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipeline.datasets.collect import near_duplicates
from pipeline.datasets.collect.collecting import bring, draw, spiders
from pipeline.datasets.collect.folder import ImageFile
from pipeline.datasets.collect.near_duplicates import Print, find
from pipeline.datasets.prepared.manifest import Alike, Row
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image


def _encoded(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=70)
    return Image.open(stream)


def _resized(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 2 // 3, image.height * 2 // 3))


def _cropped(image: Image.Image, left: float = 0.3) -> Image.Image:
    wide, high = round(0.95 * image.width), round(0.95 * image.height)
    x, y = round(left * (image.width - wide)), round((1 - left) * (image.height - high))
    return image.crop((x, y, x + wide, y + high))


def _brightened(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.3)


CHANGES = [_encoded, _resized, _cropped, _brightened]


def _spider(number: int, size: int = 96) -> Image.Image:
    return spider_image(number % len(SPIDERS), number // len(SPIDERS), size=size, seed=7)


def _rows(folder: Path) -> list[Row]:
    """Return the rows of the images below a folder, as collected."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    collected = [ImageFile(file, file.relative_to(folder).as_posix(), file.parent.name, "") for file in files]
    return bring(collected, folder.with_name("brought"))[0]


@pytest.fixture
def folder(tmp_path):
    for place in ("images", "brought"):
        (tmp_path / place).mkdir()
    return tmp_path / "images"


def _found(folder: Path) -> list[Alike]:
    return find(_rows(folder), folder)


def test_a_set_without_copies_has_no_groups(folder):
    for number in range(30):
        _spider(number).save(folder / f"{number:02}.png")
    assert _found(folder) == []


def test_a_byte_equal_copy_is_exact(folder):
    _spider(0).save(folder / "1.png")
    _spider(1).save(folder / "2.png")
    shutil.copy(folder / "1.png", folder / "3.png")
    assert _found(folder) == [Alike("1.png", 1, "", ""), Alike("3.png", 1, "exact", "1.png")]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_copy_is_near_and_names_its_original(folder, change):
    for number in range(9):
        _spider(number).save(folder / f"{number}.png")
    change(_spider(4)).save(folder / "copy.png")
    assert _found(folder) == [Alike("4.png", 1, "", ""), Alike("copy.png", 1, "near", "4.png")]


def test_copies_of_copies_are_one_group(folder):
    _spider(0).save(folder / "1.png")
    _encoded(_spider(0)).save(folder / "2.png")
    shutil.copy(folder / "2.png", folder / "3.png")
    assert [(one.path, one.group, one.kind) for one in _found(folder)] == [
        ("1.png", 1, ""),
        ("2.png", 1, "near"),
        ("3.png", 1, "exact"),
    ]


def test_groups_are_numbered_in_the_order_of_their_first_images(folder):
    for name, number in {"a": 1, "b": 2, "c": 2, "d": 1}.items():
        _spider(number).save(folder / f"{name}.png")
    assert [(one.path, one.group) for one in _found(folder)] == [
        ("a.png", 1),
        ("b.png", 2),
        ("c.png", 2),
        ("d.png", 1),
    ]


def test_flat_images_of_other_grey_are_not_alike(folder):
    for gray in (60, 62, 200):
        Image.new("L", (64, 64), gray).save(folder / f"{gray}.png")
    assert _found(folder) == []


def test_images_of_the_same_detail_are_alike_up_to_30_of_128_bits_apart():
    detail = np.random.default_rng(0).normal(size=(48, 48)).astype(np.float16)
    bits = np.zeros((2, 128), np.uint8)
    for apart, expected in ((30, [(0, 1)]), (31, [])):
        bits[1, :apart] = 1
        assert near_duplicates.pairs([Print(one, detail) for one in bits]) == expected


def test_images_too_small_to_tell_apart_are_compared_byte_for_byte_alone(folder):
    small = _spider(0).resize((16, 16))
    for name in ("1", "2"):
        small.save(folder / f"{name}.png")
    _brightened(small).save(folder / "3.png")
    assert [one.path for one in _found(folder)] == ["1.png", "2.png"]


def test_of_a_very_large_set_exact_copies_alone_are_found(folder, monkeypatch):
    monkeypatch.setattr(near_duplicates, "MOST", 2)
    for number in range(3):
        _spider(number).save(folder / f"{number}.png")
    shutil.copy(folder / "0.png", folder / "exact.png")
    _encoded(_spider(0)).save(folder / "near.png")
    rows = _rows(folder)
    assert [one.path for one in find(rows, folder)] == ["0.png", "exact.png"]
    assert not near_duplicates.is_compared(rows)


def test_a_small_block_of_the_matrix_finds_the_same(folder, monkeypatch):
    for number in range(12):
        _spider(number % 7).save(folder / f"{number}.jpg", quality=80 + number)
    rows = _rows(folder)
    whole = find(rows, folder)
    monkeypatch.setattr(near_duplicates, "_MATRIX_ENTRIES", 5)
    monkeypatch.setattr(near_duplicates, "_BLOCK_IMAGES", 1)
    assert find(rows, folder) == whole
    assert len(whole) == 10


@pytest.fixture
def planted(tmp_path):
    """Draw 1,000 images in train and test, with 50 exact and 50 changed copies in the other part."""
    folder = tmp_path / "images"
    folder.mkdir()
    drawings = spiders(images_per_class=112, size=96, seed=0)[:1000]
    rows = draw(
        [one._replace(path=f"{('train', 'test')[n % 4 == 0]}/{n:04}.png") for n, one in enumerate(drawings)], folder
    )
    origin: dict[str, str] = {}
    rng = np.random.default_rng(0)
    for place, index in enumerate(rng.permutation(len(rows))[:100]):
        row = rows[index]
        part = "test" if row.path.startswith("train") else "train"
        path = f"{part}/copy{place:03}" + (".png" if place % 2 or place // 2 % 4 else ".jpg")
        origin[path] = row.path
        with Image.open(folder / row.path) as image:
            if place % 2:
                shutil.copy(folder / row.path, folder / path)
                continue
            kind = place // 2 % 4
            changed = _cropped(image, rng.random()) if kind == 2 else image if kind == 0 else CHANGES[kind](image)
            changed.save(folder / path, **({"quality": 70} if kind == 0 else {}))
    return folder, origin


@pytest.mark.slow
def test_planted_copies_are_found_and_hardly_any_other(planted):
    folder, origin = planted
    folder.with_name("brought").mkdir()
    rows = _rows(folder)
    groups = {one.path: one for one in find(rows, folder)}
    group = {path: one.group for path, one in groups.items()}
    hit = {path: path in group and group[path] == group.get(of) for path, of in origin.items()}
    exact = {path for path in origin if (folder / path).read_bytes() == (folder / origin[path]).read_bytes()}
    assert len(exact) == 50
    assert all(hit[path] for path in exact)
    assert sum(hit[path] for path in set(origin) - exact) >= 0.95 * 50
    wrong = set(groups) - set(origin) - set(origin.values())
    assert len(wrong) < 0.01 * len(rows)
