"""An advice on photographs that cannot be divided twice is refused before it has a price."""

from pathlib import Path

import pytest
import tiny

from pipeline.core.errors import InputError
from pipeline.preview.overriding import read
from pipeline.running import trials


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.ROOT)


def checked(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    trials.check_images(read(["data=folder", f"folder='{folder}'"]))


CATS = ("cat/1.jpg", "cat/2.jpg", "cat/3.jpg")


def test_a_class_of_two_images_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^class 'owl' has 2 images; .* 3 different ones .*: bring more, or leave"):
        checked(tmp_path, *CATS, "owl/1.jpg", "owl/2.jpg")


def test_three_images_a_class_are_enough(tmp_path: Path) -> None:
    checked(tmp_path, *CATS, "owl/1.jpg", "owl/2.jpg", "owl/3.jpg")


def test_the_parts_of_a_folder_that_has_some_are_not_judged_by_names(tmp_path: Path) -> None:
    names = [f"{part}/{name}" for part in ("train", "test") for name in (*CATS[:2], "owl/1.jpg")]
    checked(tmp_path, *names)


def test_the_drawn_spiders_are_not_looked_for_in_a_folder() -> None:
    trials.check_images(read([]))
