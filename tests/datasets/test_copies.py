import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmark import load
from PIL import Image, ImageEnhance, ImageOps

from pipeline.datasets.collect.collecting import bring
from pipeline.datasets.collect.folder import ImageFile
from pipeline.datasets.copies import alignment, finding, hashes
from pipeline.datasets.copies.hashes import Print
from pipeline.datasets.prepared import search
from pipeline.datasets.prepared.groups import grouped
from pipeline.datasets.prepared.manifest import Alike, Pair, Row
from pipeline.datasets.prepared.search import Search
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image
from pipeline.pretrained.features import bundled

benchmark = load("copies")


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


def _mirrored_crop(image: Image.Image) -> Image.Image:
    return _cropped(ImageOps.mirror(image))


def _letterboxed(image: Image.Image) -> Image.Image:
    return ImageOps.pad(image, (image.width * 4 // 3, image.height), color="black")


CHANGES = [_encoded, _resized, _cropped, _brightened]
LARGE_CHANGES = [_mirrored_crop, _letterboxed]


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


def _pairs(folder: Path) -> list[Pair]:
    return finding.find(_rows(folder), folder, bundled)[0]


def _found(folder: Path) -> list[Alike]:
    return grouped(_pairs(folder))


def test_a_set_without_copies_has_no_groups(folder):
    for number in range(9):
        _spider(number).save(folder / f"{number:02}.png")
    assert _found(folder) == []


def test_a_byte_equal_copy_is_exact(folder):
    _spider(0).save(folder / "1.png")
    _spider(1).save(folder / "2.png")
    shutil.copy(folder / "1.png", folder / "3.png")
    assert _found(folder) == [Alike("1.png", 1, "", ""), Alike("3.png", 1, "exact", "1.png")]


def test_changed_copies_are_near_and_name_their_originals(folder):
    """Of small changes, which hashes find, and of large ones, which features and alignment find."""
    for number, change in enumerate([*CHANGES, *LARGE_CHANGES]):
        _spider(number).save(folder / f"{number}.png")
        change(_spider(number)).save(folder / f"{number}-copy.png")
    pairs = _pairs(folder)
    count = len(CHANGES) + len(LARGE_CHANGES)
    assert [(one.path, one.of) for one in pairs] == [(f"{n}.png", f"{n}-copy.png") for n in range(count)]
    assert {one.confirmed for one in pairs} == {"yes"}
    assert [one.mirrored for one in pairs] == ["no", "no", "no", "no", "yes", "no"]
    assert [one.found for one in pairs][-2:] == ["features", "features"]
    assert {one.kind for one in grouped(pairs)} == {"", "near"}


def test_the_pairs_are_the_same_on_one_core_and_on_two(folder, monkeypatch):
    monkeypatch.setattr(finding, "_BATCH", 2)
    for number in range(6):
        _spider(number).save(folder / f"{number:02}.png")
    _mirrored_crop(_spider(3)).save(folder / "copy.png")
    found = []
    for cores in ({0}, {0, 1}):
        monkeypatch.setattr("os.sched_getaffinity", lambda _pid, cores=cores: cores)
        found.append(_pairs(folder))
    assert found[0] == found[1]
    assert len(found[0]) == 1


def test_a_mirrored_image_has_the_marks_of_a_detection_in_it():
    image = _spider(2)
    derived = alignment.mirrored(alignment.marks(image))
    detected = alignment.marks(ImageOps.mirror(image))
    # The strongest keypoints are not all the same ones.
    apart = np.linalg.norm(derived.points[:, None] - detected.points[None], axis=2)
    nearest, close = apart.argmin(axis=1), apart.min(axis=1) < 1
    here, there = (part.astype(float) for part in (derived.descriptors[close], detected.descriptors[nearest[close]]))
    cosine = (here * there).sum(axis=1) / np.linalg.norm(here, axis=1) / np.linalg.norm(there, axis=1)
    assert close.mean() > 0.5
    assert np.median(cosine) > 0.9


def test_images_that_share_a_background_alone_are_alike_at_most(folder):
    """As of a fixed camera: the middle is another."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).resize((192, 192), Image.Resampling.BICUBIC)
    for number in range(2):
        image = coarse.copy()
        image.paste(_spider(number, 110), (40, 40))
        image.save(folder / f"{number}.png")
    assert not [pair for pair in _pairs(folder) if pair.confirmed == "yes"]


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
        assert hashes.pairs([Print(one, detail) for one in bits]) == expected


def test_images_too_small_to_tell_apart_are_compared_byte_for_byte_alone(folder):
    small = _spider(0).resize((16, 16))
    for name in ("1", "2"):
        small.save(folder / f"{name}.png")
    _brightened(small).save(folder / "3.png")
    assert [one.path for one in _found(folder)] == ["1.png", "2.png"]


@pytest.mark.parametrize(
    ("most", "found", "compared", "words"),
    [
        ("MOST_HASHED", ["0.png", "exact.png"], Search(6, 0, 0), "looked for byte-equal copies alone: "),
        (
            "MOST_ALIGNED",
            ["0.png", "exact.png", "near.png"],
            Search(6, 5, 0),
            "not for mirrored or strongly changed ones",
        ),
    ],
)
def test_a_very_large_set_is_searched_for_less_and_it_is_said(folder, monkeypatch, most, found, compared, words):
    for module in (finding, search):
        monkeypatch.setattr(module, most, 2)
    for number in range(3):
        _spider(number).save(folder / f"{number}.png")
    shutil.copy(folder / "0.png", folder / "exact.png")
    _encoded(_spider(0)).save(folder / "near.png")
    ImageOps.mirror(_spider(1)).save(folder / "mirrored.png")
    pairs, looked = finding.find(_rows(folder), folder, bundled)
    assert ([one.path for one in grouped(pairs)], looked) == (found, compared)
    assert words in search.words(looked)


def test_what_was_looked_for_is_said_where_nothing_is_left_out():
    assert "mirrored" in search.words(Search(10, 10, 10))


def test_a_small_block_of_the_matrix_finds_the_same(folder, monkeypatch):
    for number in range(12):
        _spider(number % 7).save(folder / f"{number}.jpg", quality=80 + number)
    rows = _rows(folder)
    whole = hashes.near(rows, folder, range(12))
    monkeypatch.setattr(hashes, "_MATRIX_ENTRIES", 5)
    monkeypatch.setattr(hashes, "_BLOCK_IMAGES", 1)
    assert hashes.near(rows, folder, range(12)) == whole
    assert len(whole) == 5


def _planted_is_found(originals: list[Image.Image], folder: Path, *, each: int, suffix: str) -> None:
    """Check a smaller cut of the table in docs/data.md: 95 % of all copies, 80 % of each kind, hardly any other."""
    planted = benchmark.plant(originals, folder, each=each, suffix=suffix)
    result = benchmark.measured(folder, planted)
    print(result)
    for kind, counts in result["kinds"].items():
        assert counts["n"] == each
        assert counts["found"] >= 0.8 * each, kind
    assert sum(counts["found"] for counts in result["kinds"].values()) >= 0.95 * len(planted)
    assert result["false_images"] < 0.01 * result["images"]


@pytest.mark.slow
def test_drawn_copies_of_every_kind_are_found_and_hardly_any_other(folder):
    _planted_is_found([_spider(number) for number in range(260)], folder, each=10, suffix=".png")


@pytest.mark.real
@pytest.mark.skipif(
    not os.environ.get("REAL_DATA"),
    reason="REAL_DATA names no folder with photographs: copies of real ones are not checked",
)
def test_copies_of_photographs_of_every_kind_are_found_and_hardly_any_other(folder):
    files = sorted(Path(os.environ["REAL_DATA"], "clothing10/test").rglob("*.jpg"))
    originals = [Image.open(file).convert("RGB") for file in files]
    _planted_is_found(originals, folder, each=10, suffix=".jpg")


# Two signals come while a thread is in torch, the second while the first has the process end.
INTERRUPTED = """
import os, signal, time, torch
from pipeline.core.errors import one_line_errors
from pipeline.datasets.copies import finding

def work(item):
    for _ in range(2):
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)
    matrix = torch.ones(1000, 1000)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        matrix @ matrix

with one_line_errors("copies"):
    finding._in_threads(work, range(100), "")
"""


def test_a_second_signal_while_threads_end_does_not_abort_the_process():
    """Python takes a thread whose join is interrupted for ended, and exited while it was in C++."""
    words = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    line = "copies: interrupted; `dvc repro` goes on from the last finished stage\n"
    assert (done.returncode, done.stderr) == (130, line)
