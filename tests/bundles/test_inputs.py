"""Which files are read where files, folders and lists are given."""

import os
from pathlib import Path

import pytest

from pipeline.bundles import inputs
from pipeline.core.errors import InputError


def make(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_are_listed_as_given_and_those_of_a_folder_sorted(here):
    make(here, "b/2.jpg", "b/1.jpg", "b/deep/3.jpg", "a.jpg", "z.jpg")
    listed = inputs.names(["z.jpg", "b", "./a.jpg"], [])
    assert listed == ["z.jpg", "b/1.jpg", "b/2.jpg", "b/deep/3.jpg", "./a.jpg"]


def test_hidden_files_and_those_of_operating_systems_are_passed_over_in_a_folder_but_not_by_name(here):
    make(here, "b/1.jpg", "b/.2.jpg", "b/Thumbs.db", "b/.cache/3.jpg", "b/@eaDir/1.jpg", "b/notes.txt")
    assert inputs.names(["b"], []) == ["b/1.jpg", "b/notes.txt"]
    assert inputs.names(["b/.2.jpg"], []) == ["b/.2.jpg"]


def test_a_folder_that_links_to_itself_ends(here):
    make(here, "b/1.jpg")
    (here / "b/again").symlink_to(here / "b")
    assert inputs.names(["b"], []) == ["b/1.jpg"]


def test_a_named_path_that_is_missing_stops_before_any_work(here):
    make(here, "a.jpg")
    with pytest.raises(InputError, match=r"^no\\x0ane: no such file or folder$"):
        inputs.names(["a.jpg", "no\nne"], [])


def test_a_list_names_files_and_folders_in_its_place_and_a_missing_one_is_no_end(here):
    make(here, "a.jpg", "b/1.jpg", "z.jpg")
    lines = [b"b\n", b"gone.jpg\r\n", b"\n", b"caf\xe9.jpg"]
    assert inputs.names(["z.jpg", "-", "a.jpg"], lines) == [
        "z.jpg",
        "b/1.jpg",
        "gone.jpg",
        os.fsdecode(b"caf\xe9.jpg"),
        "a.jpg",
    ]


def test_a_place_that_cannot_be_looked_at_is_listed_and_stops_nothing(here, monkeypatch):
    make(here, "b/1.jpg", "b/closed/2.jpg", "c.jpg")
    long = "n" * 300
    # Root may read every folder, so that the refusal is made.
    entries = os.scandir

    def closed(folder):
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return entries(folder)

    monkeypatch.setattr(os, "scandir", closed)
    assert inputs.names(["b", "-"], [os.fsencode(long), b"c.jpg"]) == ["b/1.jpg", "b/closed", long, "c.jpg"]
    with pytest.raises(InputError, match=r"^n{300}: no such file or folder$"):
        inputs.names([long], [])


def test_a_list_is_read_once(here):
    with pytest.raises(InputError, match="given twice"):
        inputs.names(["-", "-"], [b"a.jpg"])


def test_where_there_is_no_image_that_is_said(here):
    (here / "b").mkdir()
    make(here, "b/.hidden.jpg")
    with pytest.raises(InputError, match=r"^b, -: no image in it; give files, or folders that hold some$"):
        inputs.names(["b", "-"], [])


def test_what_an_earlier_call_wrote_into_a_folder_is_not_read(here):
    make(here, "b/1.jpg", "b/out.csv", "b/sorted/cat/1.jpg", "b/sorted.jpg")
    outputs = [here / "b/out.csv", here / "b/sorted", here / "elsewhere"]
    assert inputs.names(["b"], [], outputs) == ["b/1.jpg", "b/sorted.jpg"]
    # Who names a file or folder means it.
    assert inputs.names(["b/sorted", "b/out.csv"], [], outputs) == ["b/sorted/cat/1.jpg", "b/out.csv"]


def test_what_tells_of_the_photographs_of_a_folder_is_no_photograph(tmp_path: Path) -> None:
    (tmp_path / "araneus").mkdir()
    for name in ("metadata.csv", "README.md", "1.jpg", "araneus/metadata.csv"):
        (tmp_path / name).touch()
    listed = inputs.names([str(tmp_path)], [])
    assert [str(Path(name).relative_to(tmp_path)) for name in listed] == ["1.jpg", "araneus/metadata.csv"]
    assert inputs.names([str(tmp_path / "metadata.csv")], []) == [str(tmp_path / "metadata.csv")]
