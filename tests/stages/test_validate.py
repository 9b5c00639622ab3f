import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image

from pipeline import params
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.collect.sources.spiders import PRINTED
from pipeline.stages import validate


def write_params(paper: str = "quick", **axes: Any) -> None:
    """The recipe as it is."""
    tiny.write(tiny.recipe(paper, **axes))


NO_ATTENTION = {"attention": "none"}
SOURCE = tiny.shipped()["synthetic_source"]
ODD_SOURCE = {"weights": "synthetic", "synthetic_source": SOURCE | {"image_size": 50}}
ODD_SOURCE_TOLD = "synthetic_source.image_size: 50 is not a multiple of 16, as vit_b_16 needs; 48 is"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "L'épeire & co"
    for label in ("a b", "ç"):
        (folder / label).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(folder / label / f"{number}.png")
    return folder


def test_good_parameters_give_the_same_file_whatever_they_are(photographs: Path) -> None:
    contents = set()
    for changes in ({}, {"freeze": 1}, {"data": "folder", "folder": str(photographs)}):
        write_params(**changes)
        validate.main()
        contents.add(paths.VALIDATED.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frez": "3c"}, "unknown key 'frez'; did you mean 'freeze'"),
        ({"freeze": "bad"}, "freeze: 'bad' is not one of auto, 1, 2, 3a, 3b, 3c, scratch"),
        ({"data": "folder", "folder": "/nowhere"}, "folder: '/nowhere' does not exist"),
        ({"data": "folder", "folder": "photos"}, "folder: 'photos' is relative"),
        ({"data": "folder"}, "data/own"),
        ({"weights": "file"}, "none is named; add -S weights_file=/path/to/it"),
        ({"weights": "file", "weights_file": "w.pth"}, "weights_file: 'w.pth' is relative; give the absolute path"),
        ({"weights": "file", "weights_file": "/w.pth"}, "weights_file: '/w.pth' is not a file"),
        ({"weights": "file", "weights_file": "/etc/hostname"}, "is none of .safetensors, .pth, .pt"),
        ({"weights": "file", "weights_file": __file__}, "is none of .safetensors, .pth, .pt"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_old_file_stays(changes: dict[str, Any], message: str) -> None:
    write_params()
    validate.main()
    write_params(**changes)
    with pytest.raises(InputError) as caught:
        validate.main()
    assert message in str(caught.value)
    assert paths.VALIDATED.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "se", "backbone": "vit_b_16"}, "attention: 'se' needs feature maps"),
        ({"attention": "cbam", "backbone": "vgg16"}, "this backbone has no residual blocks for 'cbam'"),
        ({"weights": "places365", "backbone": "vgg16"}, "there are no 'places365' weights for vgg16; they exist for"),
        ({"backbone": "vit_b_16", "paper": "ecsm", "data": "synthetic"} | NO_ATTENTION | ODD_SOURCE, ODD_SOURCE_TOLD),
        ({"paper": "animals", "data": "synthetic", "backbone": "resnet18"}, "freeze: 'features.12' is neither a"),
    ],
)
def test_parts_of_a_network_that_do_not_fit_are_refused_before_anything_runs(
    changes: dict[str, Any], message: str
) -> None:
    write_params(**changes)
    with pytest.raises(InputError) as caught:
        validate.main()
    assert message in str(caught.value)
    assert not paths.VALIDATED.exists()


def test_an_empty_folder_and_one_with_one_class_are_refused(tmp_path: Path, photographs: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_params(data="folder", folder=str(tmp_path / "empty"))
    with pytest.raises(InputError, match="empty"):
        validate.main()
    for file in (photographs / "ç").iterdir():
        file.unlink()
    (photographs / "ç").rmdir()
    write_params(data="folder", folder=str(photographs))
    with pytest.raises(InputError, match="class"):
        validate.main()


def test_what_is_given_but_not_read_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    write_params(folder="/photos", weights_file="/w.pth")
    validate.main()
    told = capsys.readouterr().out
    assert "folder is not read: data is 'synthetic'; add -S data=folder" in told
    assert "weights_file is not read: weights is 'synthetic'; add -S weights=file" in told


def test_photographs_under_the_recipe_for_drawings_are_remarked_on(
    photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params(data="folder", folder=str(photographs))
    validate.main()
    assert "photographs become 64 x 64; add -S paper=ecsm" in capsys.readouterr().out


KAGGLE = "https://www.kaggle.com/datasets/alessiocorrado99/animals10"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": "animals10"},
            "archive: Animals-10 cannot be downloaded by a program; log in at Kaggle and download it there "
            f"({KAGGLE}), put archive.zip or what is in them into one folder, and add -S archive=/path/to/that/folder",
        ),
        ({"data": "cars"}, "copies are on Kaggle and in research groups (https://ai.stanford.edu/~jkrause/cars/car_"),
        ({"data": "cars"}, "put cars_train.tgz, cars_test.tgz, car_devkit.tgz, cars_test_annos_withlabels.mat or what"),
        ({"data": "spiders"}, "SPIDER9-IMAGE is not public; ask its makers at Dali University for it, put its class"),
        ({"data": "cub200", "archive": "sets/cub.tgz"}, "archive: 'sets/cub.tgz' is relative, which queued runs would"),
        (
            {"data": "cub200", "archive": "/nowhere/cub.tgz"},
            "archive: '/nowhere/cub.tgz' does not exist; give the file",
        ),
        (
            {"data": "cars", "archive": "/nowhere"},
            "archive: '/nowhere' does not exist; give the file or folder with St",
        ),
        ({"data": "spiders", "folder": "/nowhere"}, "folder: '/nowhere' does not exist"),
        ({"data": "spiders", "folder": "spiders"}, "folder: 'spiders' is relative"),
        ({"data": "birds"}, "data: 'birds' is not one of auto, synthetic, folder, spiders, cub200, dogs, cars, calt"),
    ],
)
def test_a_set_that_cannot_be_had_is_refused_in_a_line_that_says_what_to_do(
    changes: dict[str, Any], message: str
) -> None:
    write_params(**changes)
    with pytest.raises(InputError) as caught:
        validate.main()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not paths.VALIDATED.exists()


def test_a_folder_without_all_files_of_a_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cars_train.tgz").touch()
    write_params(data="cars", archive=str(tmp_path))
    with pytest.raises(InputError, match=r"^archive: '.*' has no cars_test.tgz; put all files of Stanford Cars there$"):
        validate.main()


def test_spiders_of_other_names_are_refused(photographs: Path) -> None:
    write_params(data="spiders", folder=str(photographs))
    with pytest.raises(InputError, match=r"not the nine classes of SPIDER9-IMAGE: 'a b', 'ç' unknown; no Thomisidae"):
        validate.main()


@pytest.fixture
def spiders(tmp_path: Path) -> Path:
    for label in PRINTED:
        (tmp_path / "spiders" / label).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "spiders" / label / f"{number}.jpg").touch()
    return tmp_path / "spiders"


def notes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was remarked on since the last time."""
    start = "validate: note: "
    return [line.removeprefix(start) for line in capsys.readouterr().out.splitlines() if line.startswith(start)]


@pytest.mark.parametrize("data", ["synthetic", "folder", "spiders", "digits"])
def test_an_archive_that_a_set_does_not_need_is_remarked_on(
    data: str, photographs: Path, spiders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params(data=data, folder=str(spiders if data == "spiders" else photographs), archive="/sets/cub.tgz")
    validate.main()
    assert f"archive is not read: data is {data!r}, which needs none" in notes(capsys)


@pytest.mark.parametrize("data", ["synthetic", "digits", "cub200", "caltech256_30", "cifar100_few"])
def test_a_folder_that_a_set_does_not_read_is_remarked_on(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(data=data, folder="/photos")
    validate.main()
    assert notes(capsys) == [f"folder is not read: data is {data!r}; add -S data=folder"]


@pytest.mark.parametrize("data", ["cub200", "dogs", "cars", "mit67", "cifar10", "animals10"])
def test_an_archive_that_is_read_is_not_remarked_on(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set.zip").touch()
    write_params(data=data, archive=str(tmp_path / "set.zip"))
    validate.main()
    assert notes(capsys) == []


def test_the_folder_of_the_spiders_is_not_remarked_on(spiders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(data="spiders", folder=str(spiders))
    validate.main()
    assert notes(capsys) == []


@pytest.mark.parametrize("data", ["digits", "cub200", "mit67", "cifar10"])
def test_what_can_be_downloaded_is_valid_without_a_place(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(data=data)
    validate.main()
    assert notes(capsys) == []


def test_only_what_a_recipe_changes_for_a_data_set_is_in_the_file() -> None:
    values = tiny.recipe("spa_gca")
    assert validate.verdict(params.check(values | {"data": "dogs"})) == "params.yaml is valid\n"
    assert validate.verdict(params.check(values | {"data": "mit67"})).splitlines() == [
        "params.yaml is valid",
        "network.backbone: resnet50",
        "network.weights: places365",
    ]


def test_freezing_random_values_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    write_params(weights="none")
    validate.main()
    assert "layers stay frozen at random values" in capsys.readouterr().out


def test_checking_takes_a_moment() -> None:
    tiny.write(tiny.shipped())
    started = time.process_time()
    validate.main()
    assert time.process_time() - started < 1


def test_it_is_said_what_the_data_set_or_the_method_decides_in_place_of_the_recipe() -> None:
    notes = validate.replaced(params.check(tiny.recipe("spa_gca", data="mit67")))
    assert notes == ["for data 'mit67', papers.spa_gca.per_data.mit67 decides network.backbone, network.weights"]
    notes = validate.replaced(params.check(tiny.recipe("quick", regularizer="l2_fe")))
    place = "papers.quick.regularizer.method_options.l2_fe"
    keys = ("weight_decay", "budget", "schedule")
    assert notes == [f"train.{key} is not read: {place}.{key} is in its place" for key in keys]
    assert validate.replaced(params.check(tiny.recipe("quick"))) == []
