"""What is left out of a set, apart by what it is."""

import pytest

from pipeline.datasets.collect import left_out
from pipeline.datasets.collect.folder import layout
from pipeline.datasets.prepared.manifest import Rejected

NO_IMAGE = "not an image, or damaged at its start"


@pytest.mark.parametrize("name", ["1.jpg", "1.JPEG", "1.png", "1.heic", "1.svg", "1", "n. 1.tif"])
def test_what_is_called_like_a_photograph_is_told_by_name(name):
    assert left_out.divided([Rejected(name, NO_IMAGE)]).damaged == [Rejected(name, NO_IMAGE)]


@pytest.mark.parametrize(
    "name", ["1.xml", "1.TXT", "labels.csv", "1.json", "look.ipynb", "data.yaml", "1.mat", "1.db", "LICENSE"]
)
def test_what_no_photograph_is_called_is_told_by_kind(name):
    assert left_out.divided([Rejected(name, NO_IMAGE)]).others == [Rejected(name, NO_IMAGE)]


def test_a_paper_beside_the_set_is_no_stray_photograph():
    license = Rejected("LICENSE", left_out.OUTSIDE)
    assert left_out.divided([license]).others == [license]
    assert left_out.endings([license]) == "LICENSE 1"


def test_photographs_beside_the_class_folders_are_apart_from_damaged_ones_and_from_tables():
    beside = [Rejected("labels.csv", left_out.OUTSIDE), Rejected("stray.jpg", left_out.OUTSIDE)]
    assert left_out.divided(beside) == ([], beside[1:], [], [], beside[:1])


def test_many_kinds_of_files_are_cut():
    others = [Rejected(f"1.{ending}", NO_IMAGE) for ending in ("xml", "txt", "csv", "md", "mat", "npy", "log", "py")]
    assert left_out.endings(others) == ".xml 1, .txt 1, .csv 1, .md 1, .mat 1, .npy 1 and 2 more kinds"


def test_the_list_has_damaged_photographs_first_and_other_files_in_one_row():
    rejected = [Rejected("a/1.txt", NO_IMAGE), Rejected("a/2.txt", NO_IMAGE), Rejected("z/9.jpg", "empty: 0 bytes")]
    assert left_out.listed(rejected) == [("z/9.jpg", "empty: 0 bytes"), (".txt 2", "no photographs, passed over")]
    assert left_out.listed([]) == []


def test_what_systems_and_notebooks_leave_behind_is_not_even_listed(tmp_path):
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in (".DS_Store", "cat/._1.jpg", "cat/Thumbs.db", "dog/desktop.ini", "ehthumbs.db", "dog/Picasa.ini"):
        (tmp_path / name).touch()
    for name in (".ipynb_checkpoints/look-checkpoint.ipynb", "cat/.ipynb_checkpoints/1.jpg", "@eaDir/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files, others, *_ = layout(tmp_path)
    assert ([file.path for file in files], others) == (["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"], [])
