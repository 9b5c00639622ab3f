"""From photographs with copies to what `copies` writes, and to what `split` decides on it."""

import shutil
from pathlib import Path

import pytest
import tiny
from PIL import Image, ImageEnhance, ImageOps

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.prepared import manifest
from pipeline.datasets.prepared.manifest import Alike, Assigned, Pair
from pipeline.datasets.synthetic.synthetic import spider_image
from pipeline.stages import collect, copies, split


def _params(own: Path, *, duplicates: str = "refuse", on_leak: str = "refuse", **axes: object) -> None:
    changes = {"data.duplicates": duplicates, "data.on_leak": on_leak}
    tiny.write_params(changes, data="folder", folder=str(own), **axes)


@pytest.fixture
def project(tmp_path, monkeypatch):
    tiny.enter(tmp_path / "project", monkeypatch)
    return tmp_path / "own"


def _spider(own: Path, name: str, number: int) -> Image.Image:
    image = spider_image(number % 9, number, size=64, seed=1)
    (own / name).parent.mkdir(parents=True, exist_ok=True)
    image.save(own / name)
    return image


def _parts() -> dict[str, str]:
    return {image.path: image.part for image in manifest.read(paths.split_file(1), Assigned)}


@pytest.fixture
def leaking(project):
    """Parts of spiders, where one test image is in train, brightened, one there as it is, and one twice in test."""
    for number in range(12):
        part, label = ("train", "test")[number % 2], ("cat", "dog")[number // 2 % 2]
        _spider(project, f"{part}/{label}/{number:02}.png", number)
    with Image.open(project / "test/cat/01.png") as image:
        ImageEnhance.Brightness(image).enhance(1.2).save(project / "train/cat/near.png")
    shutil.copy(project / "test/dog/03.png", project / "train/dog/same.png")
    with Image.open(project / "test/dog/07.png") as image:
        ImageOps.mirror(image).save(project / "test/dog/mirrored.png")
    _params(project)
    collect.main()
    return project


def test_copies_across_parts_are_refused_left_out_or_let_be_after_one_search(leaking, capsys):
    copies.main()
    told = capsys.readouterr().out
    assert "copies: looked for byte-equal copies, and those that are encoded anew, " in told
    assert "copies: pairs: 1 byte-equal, 2 near duplicates (data/copies/pairs.csv)" in told
    pairs = {(pair.path, pair.of): pair for pair in manifest.read(paths.PAIRS, Pair)}
    assert set(pairs) == {
        ("train/cat/near.png", "test/cat/01.png"),
        ("train/dog/same.png", "test/dog/03.png"),
        ("test/dog/mirrored.png", "test/dog/07.png"),
    }
    assert pairs["test/dog/mirrored.png", "test/dog/07.png"].mirrored == "yes"
    before = {file: file.read_bytes() for file in paths.COPIES.iterdir()}
    message = (
        r"^'train/cat/near.png' in train is a near duplicate of 'test/cat/01.png' in test "
        r"\(and 1 more in data/copies/pairs\.csv\); "
        r"remove one, or leave .* out of train, -S defaults.data.on_leak=drop, or let them be, -S .*on_leak=allow$"
    )
    with pytest.raises(InputError, match=message):
        split.main(["1"])
    assert not paths.SPLITS.exists()
    for choice, count, words in (("drop", 13, "left out"), ("allow", 15, "let be")):
        _params(leaking, on_leak=choice)
        split.main(["1"])
        assert len(_parts()) == count
        assert ("train/dog/same.png" in _parts()) == (choice == "allow")
        note = (
            f"split: note: on_leak is '{choice}': 2 images of an earlier part that are in a later one too are {words}"
        )
        assert note in capsys.readouterr().out
    assert {file: file.read_bytes() for file in paths.COPIES.iterdir()} == before


@pytest.fixture
def clashing(project):
    """Two classes of spiders, one of which is in both, mirrored."""
    for number in range(8):
        image = _spider(project, f"{('cat', 'dog')[number % 2]}/{number}.png", number)
        if number == 4:
            (project / "dog").mkdir(exist_ok=True)
            ImageOps.mirror(image).save(project / "dog/4-again.png")
    _params(project)
    collect.main()
    copies.main()
    return project


def test_a_mirrored_copy_in_two_classes_is_refused_unless_it_is_allowed_and_then_stays_in_one_part(clashing):
    message = (
        r"^'cat/4.png' and 'dog/4-again.png' are copies of one photograph \(one lies on the other, pixel by pixel\) in "
        r"two classes; remove one, or allow such pairs: -S defaults.data.duplicates=allow$"
    )
    with pytest.raises(InputError, match=message):
        split.main(["1"])
    assert manifest.read(paths.GROUPS, Alike) == [
        Alike("cat/4.png", 1, "", ""),
        Alike("dog/4-again.png", 1, "near", "cat/4.png"),
    ]
    _params(clashing, duplicates="allow")
    split.main(["1"])
    assert _parts()["cat/4.png"] == _parts()["dog/4-again.png"]


def test_groups_and_splits_are_the_same_bytes_whatever_network_and_weights_an_experiment_has(clashing):
    written = []
    for axes in ({"backbone": "resnet18"}, {"backbone": "efficientnet_lite0", "weights": "bundled", "freeze": "1"}):
        _params(clashing, duplicates="allow", **axes)
        copies.main()
        split.main(["1"])
        files = [*sorted(paths.COPIES.iterdir()), paths.split_file(1)]
        written.append({file: file.read_bytes() for file in files})
    assert written[0] == written[1]
