"""What a study knows of the user's own files: contents and names, and nothing that a copy on another machine loses."""

import os
import shutil
from pathlib import Path

import pytest

from pipeline.commands import own_files
from pipeline.core.errors import InputError

HERE = Path(__file__).parents[2]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for number, name in enumerate(("a/1.png", "a/2.png", "b/3.png")):
        file = tmp_path / "photographs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([number]))
    return tmp_path / "photographs"


def test_a_copy_made_elsewhere_at_another_time_is_the_same(photographs: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(photographs, tmp_path / "copy")
    for file in copy.rglob("*.png"):
        os.utime(file, (1e9, 1e9))
    assert own_files.digest(HERE, copy) == own_files.digest(HERE, photographs)
    assert own_files.digest(HERE, copy / "a/1.png") == own_files.digest(HERE, photographs / "a/1.png")


def test_another_photograph_and_another_class_are_others(photographs: Path) -> None:
    seen = {own_files.digest(HERE, photographs)}
    # The last of one class becomes the first of the next: names, sizes and times stay, in the same order.
    (photographs / "a/2.png").rename(photographs / "b/2.png")
    seen.add(own_files.digest(HERE, photographs))
    (photographs / "b/2.png").write_bytes(b"4")
    seen.add(own_files.digest(HERE, photographs))
    (photographs / "b/2.png").rename(photographs / "b/4.png")
    seen.add(own_files.digest(HERE, photographs))
    (photographs / "b/4.png").unlink()
    assert len(seen | {own_files.digest(HERE, photographs)}) == 5


def test_what_is_not_there_is_nothing_and_what_cannot_be_read_is_a_line(photographs: Path, tmp_path: Path) -> None:
    assert own_files.digest(HERE, photographs / "c") == ""
    (photographs / "a/4.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match=r"a/4\.png: No such file"):
        own_files.digest(HERE, photographs)
    with pytest.raises(InputError, match="not inside of a DVC repository"):
        own_files.digest(tmp_path, photographs / "a")


def test_what_dvc_does_not_see_behind_a_link_is_refused(photographs: Path, tmp_path: Path) -> None:
    (photographs / "b").rename(tmp_path / "elsewhere")
    (photographs / "b").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="/b: is a link to a folder, behind which DVC sees no change; copy"):
        own_files.digest(HERE, photographs)
    (photographs / "b").unlink()
    (photographs / "a/link.png").symlink_to(tmp_path / "elsewhere/3.png")
    before = own_files.digest(HERE, photographs)
    (tmp_path / "elsewhere/3.png").write_bytes(b"another")
    assert own_files.digest(HERE, photographs) != before
