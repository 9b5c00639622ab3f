import hashlib
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import InputError
from pipeline.datasets.collect import collecting
from pipeline.datasets.collect.collecting import Picture, bring, check_classes, check_duplicates, draw, save, spiders
from pipeline.datasets.collect.folder import ImageFile
from pipeline.datasets.decoding import parallel
from pipeline.datasets.prepared.manifest import Rejected, Row
from pipeline.datasets.synthetic.synthetic import SPIDERS, spider_image

WAY_OUT = "allow it: -S duplicates=allow"


def _image(file: Path, seed: int = 0, **options: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8)).save(file, **options)
    return file


def _image_file(file: Path, root: Path, part: str = "") -> ImageFile:
    return ImageFile(file, file.relative_to(root).as_posix(), file.parent.name, part)


@pytest.fixture
def own(tmp_path):
    return tmp_path / "own"


@pytest.fixture
def target(tmp_path):
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def test_an_image_is_copied_byte_for_byte_and_recorded(own, target):
    file = _image(own / "cat/1.png")
    rows, rejected = bring([_image_file(file, own)], target)
    content = file.read_bytes()
    assert (target / "cat/1.png").read_bytes() == content
    assert rejected == []
    sha256 = hashlib.sha256(content).hexdigest()
    assert rows == [Row("cat/1.png", "cat", "", len(content), sha256, 12, 8, "RGB", "")]


def test_size_mode_and_note_are_those_of_the_upright_image(own, target):
    exif = Image.Exif()
    exif[0x0112] = 6
    (own / "cat").mkdir(parents=True)
    Image.new("CMYK", (12, 8)).save(own / "cat/1.jpg", exif=exif)
    row = bring([_image_file(own / "cat/1.jpg", own)], target)[0][0]
    assert (row.width, row.height, row.mode, row.note) == (8, 12, "CMYK", "CMYK to RGB, rotated by EXIF")


@pytest.mark.parametrize("name", ["with space.png", "l'été.png", "-rf.png", 'a,"b".png', "🕷.PNG", "no suffix", "a\\b"])
def test_any_name_is_copied(own, target, name):
    file = _image(own / "Füße d'été" / name, format="PNG")
    assert [row.path for row in bring([_image_file(file, own)], target)[0]] == [f"Füße d'été/{name}"]
    assert (target / "Füße d'été" / name).is_file()


def test_what_cannot_be_used_is_rejected_with_its_reason_and_not_copied(own, target):
    good, bad = _image(own / "cat/1.png"), own / "cat/2.txt"
    bad.touch()
    rows, rejected = bring([_image_file(good, own), _image_file(bad, own)], target)
    assert [row.path for row in rows] == ["cat/1.png"]
    assert rejected == [Rejected("cat/2.txt", "empty: 0 bytes")]
    assert not (target / "cat/2.txt").exists()


def test_a_link_is_brought_as_a_file(own, target):
    elsewhere = _image(own.parent / "1.png")
    (own / "cat").mkdir(parents=True)
    (own / "cat/1.png").symlink_to(elsewhere)
    bring([_image_file(own / "cat/1.png", own)], target)
    assert not (target / "cat/1.png").is_symlink()


def test_workers_bring_the_same_as_one_process(own, tmp_path, monkeypatch):
    files = [_image_file(_image(own / f"cat/{number:02}.png", number), own) for number in range(20)]
    (own / "cat/05.png").write_bytes(b"no")
    results = []
    for seconds in (0, 1000):
        monkeypatch.setattr(parallel, "_SECONDS_ALONE", seconds)
        monkeypatch.setattr(parallel, "cores", lambda: 2)
        (tmp_path / str(seconds)).mkdir()
        results.append(bring(files, tmp_path / str(seconds)))
    assert results[0] == results[1]
    assert [row.path for row in results[0][0]] == [f"cat/{number:02}.png" for number in range(20) if number != 5]


def test_a_disk_without_room_is_reported_before_anything_is_copied(own, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(InputError, match=r"^.*images: 0\.\d KB needed, 0\.0 KB free on its disk; free some, or bring"):
        bring([_image_file(_image(own / "cat/1.png"), own)], target)
    assert list(target.iterdir()) == []


def test_the_drawn_set_has_so_many_images_of_each_kind(target):
    rows = draw(spiders(images_per_class=2, size=32, seed=3), target)
    assert [row.path for row in rows] == [f"{name}/{n:05}.png" for name in sorted(SPIDERS) for n in range(2)]
    assert {(row.width, row.height, row.mode, row.part) for row in rows} == {(32, 32, "RGB", "")}
    assert {row.label for row in rows} == set(SPIDERS)


def test_drawn_images_are_those_of_their_kind_number_and_seed(target):
    draw(spiders(images_per_class=2, size=32, seed=3), target)
    with Image.open(target / SPIDERS[4] / "00001.png") as image:
        np.testing.assert_array_equal(image, spider_image(4, 1, size=32, seed=3))


def _row(path: str, *, image: str = "", part: str = "") -> Row:
    return Row(path, path.split("/")[0], part, 1, image or path, 1, 1, "RGB", "")


def _files(*paths: str, part: str = "") -> list[ImageFile]:
    return [ImageFile(Path(path), path, path.split("/")[0], part) for path in paths]


def test_two_usable_images_a_class_are_enough():
    files = _files("a/1", "a/2", "a/3")
    check_classes(files, [_row("a/1"), _row("a/2")], [Rejected("a/3", "empty: 0 bytes")])


def test_a_class_that_keeps_one_image_is_refused_with_the_first_reason():
    files = _files("a/1", "a/2", "a/3", "b/1", "b/2")
    rejected = [Rejected("a/2", "empty: 0 bytes"), Rejected("a/3", "2 frames"), Rejected("other", "no")]
    message = r"^class 'a': 1 different usable of 3 files, 2 needed; 2 rejected, the first 'a/2': empty: 0 bytes$"
    with pytest.raises(InputError, match=message):
        check_classes(files, [_row("a/1"), _row("b/1"), _row("b/2")], rejected)


def test_a_class_of_copies_of_one_image_is_refused():
    message = r"^class 'a': 1 different usable of 2 files, 2 needed; the others are byte-equal copies$"
    with pytest.raises(InputError, match=message):
        check_classes(_files("a/1", "a/2"), [_row("a/1", image="x"), _row("a/2", image="x")], [])


def test_one_usable_image_in_train_and_in_test_is_enough():
    files = _files("a/1", part="train") + _files("a/2", part="test") + _files("a/3", part="val")
    check_classes(files, [_row("a/1", part="train"), _row("a/2", part="test")], [Rejected("a/3", "no")])


@pytest.mark.parametrize("lost", ["train", "test"])
def test_a_class_that_keeps_none_in_a_part_is_refused(lost):
    files = _files("a/train", part="train") + _files("a/test", part="test")
    rows = [_row(file.path, part=file.part) for file in files if file.part != lost]
    message = rf"^class 'a' in {lost}: 0 different usable of 1 files, 1 needed; 1 rejected, the first 'a/{lost}': no$"
    with pytest.raises(InputError, match=message):
        check_classes(files, rows, [Rejected(f"a/{lost}", "no")])


def test_copies_within_a_class_are_allowed():
    check_duplicates([_row("a/1", image="x"), _row("a/2", image="x")], way_out=WAY_OUT)


def test_one_image_in_two_classes_is_refused():
    rows = [_row("a/1", image="x"), _row("a/2", image="x"), _row("b/9", image="x")]
    message = rf"^'a/1' and 'b/9' are the same image in two classes; remove one, or {WAY_OUT}$"
    with pytest.raises(InputError, match=message):
        check_duplicates(rows, way_out=WAY_OUT)


def test_copies_in_two_parts_are_no_matter_of_classes():
    check_duplicates([_row("a/1", image="x", part="train"), _row("a/2", image="x", part="test")], way_out=WAY_OUT)


def test_further_copies_are_counted():
    rows = [_row(f"{label}/{number}", image=str(number)) for label in "ab" for number in range(4)]
    with pytest.raises(InputError, match=r"in two classes \(and 3 more such images\); remove one, or"):
        check_duplicates(rows, way_out=WAY_OUT)


def test_a_failing_copy_is_no_rejection(own, target, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "original")

    monkeypatch.setattr(collecting.shutil, "copyfile", fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*/images/cat/1.png'"):
        bring([_image_file(_image(own / "cat/1.png"), own)], target)


def _picture(path: str, pixels: np.ndarray, part: str = "") -> Picture:
    return Picture(path, path.split("/")[-2], part, pixels)


@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 3)])
def test_a_picture_is_written_as_it_is_and_recorded(target, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (row,) = save([_picture("test/cat/1.png", pixels, "test")], target)
    content = (target / "test/cat/1.png").read_bytes()
    mode, note = ("RGB", "") if len(shape) == 3 else ("L", "gray to RGB")
    sha256 = hashlib.sha256(content).hexdigest()
    assert row == Row("test/cat/1.png", "cat", "test", len(content), sha256, 12, 8, mode, note)
    with Image.open(target / "test/cat/1.png") as image:
        np.testing.assert_array_equal(image, pixels)


def test_pictures_come_in_the_order_of_their_paths(target):
    pixels = np.zeros((4, 4), np.uint8)
    paths = ["cat/2.png", "ant/1.png", "cat/1.png"]
    assert [row.path for row in save([_picture(path, pixels) for path in paths], target)] == sorted(paths)


def test_equal_pictures_have_equal_hashes(target):
    pixels = np.zeros((4, 4, 3), np.uint8)
    one, other = save([_picture("cat/1.png", pixels), _picture("cat/2.png", pixels.copy())], target)
    assert one.sha256 == other.sha256


def test_a_disk_without_room_is_reported_before_any_picture_is_written(target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(InputError, match=r"^.*images: 0\.1 KB needed, 0\.0 KB free on its disk; free some, or take"):
        save([_picture("cat/1.png", np.zeros((8, 8), np.uint8))], target)
    assert list(target.iterdir()) == []
