import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import pipeline
from pipeline import paths
from pipeline.errors import InputError
from pipeline.stages import validate

ROOT = Path(pipeline.__file__).parents[1]


def write_params(**changes: Any) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    paths.PARAMS.write_text(yaml.safe_dump(values | changes), encoding="utf-8")


NO_ATTENTION = {"attention": "none"}
SOURCE = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["synthetic_source"]
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


def test_freezing_random_values_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    write_params(weights="none")
    validate.main()
    assert "layers stay frozen at random values" in capsys.readouterr().out


def test_checking_takes_a_moment() -> None:
    write_params()
    started = time.process_time()
    validate.main()
    assert time.process_time() - started < 1
