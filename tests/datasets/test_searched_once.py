"""The search for copies, whose result is kept for whatever command or stage needs it next."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from pipeline.core import digests, paths
from pipeline.datasets.copies import finding
from pipeline.datasets.prepared.manifest import Pair, Row
from pipeline.datasets.prepared.search import Search
from pipeline.pretrained import copies

ROWS = [Row(f"{number}.png", "cat", "", 1, f"{number:064}", 64, 64, "RGB", "") for number in range(2)]
FOUND = [Pair("1.png", "0.png", "hashes", "yes", "no", 40, 97, 0)], Search(2, 2, 2)


@pytest.fixture
def searches(bare: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were searched, in a project of DVC's."""
    Path(".dvc").mkdir()
    folders = list[Path]()

    def find(_rows: object, folder: Path, _extract: object) -> tuple[list[Pair], Search]:
        folders.append(folder)
        return FOUND

    monkeypatch.setattr(finding, "find", find)
    return folders


def test_the_same_photographs_are_searched_once_wherever_they_lie_and_others_again(searches: list[Path]) -> None:
    for folder in ("a", "b"):
        assert copies.find(ROWS, Path(folder)) == FOUND
    assert searches == [Path("a")]
    for rows in (ROWS[:1], [ROWS[0]._replace(sha256="f" * 64), ROWS[1]]):
        copies.find(rows, Path("c"))
    assert searches == [Path("a"), Path("c"), Path("c")]


@pytest.mark.parametrize("name", ["versions", "code_hash"])
def test_another_version_or_code_searches_again(
    searches: list[Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies.find(ROWS, Path("a"))
    monkeypatch.setattr(copies.provenance, name, lambda *_: "another")
    assert copies.find(ROWS, Path("b")) == FOUND
    assert searches == [Path("a"), Path("b")]


def test_what_was_damaged_since_is_searched_for_again(searches: list[Path]) -> None:
    copies.find(ROWS, Path("a"))
    (file,) = paths.BANK.glob("copies-*/pairs.csv")
    whole = file.read_bytes()
    file.write_bytes(whole[:-2])
    assert copies.find(ROWS, Path("b")) == FOUND
    assert file.read_bytes() == whole
    assert searches == [Path("a"), Path("b")]


def test_a_full_disk_costs_the_time_of_another_search(searches: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def seal(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(digests, "seal", seal)
    assert [copies.find(ROWS, Path(folder)) for folder in ("a", "b")] == [FOUND, FOUND]
    assert searches == [Path("a"), Path("b")]
    assert not [*paths.BANK.glob("copies-*/*")]


def test_a_folder_that_is_not_dvcs_gets_nothing(searches: list[Path]) -> None:
    shutil.rmtree(".dvc")
    assert [copies.find(ROWS, Path(folder)) for folder in ("a", "b")] == [FOUND, FOUND]
    assert searches == [Path("a"), Path("b")]
    assert not Path(".dvc").exists()
