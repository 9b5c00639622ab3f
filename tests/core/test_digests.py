"""Digests beside files: which form they have, and what is said of a file that is not what was written."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from pipeline.core import digests, paths
from pipeline.core.errors import InputError

FOLDER = Path("data/packed")
SPLIT = paths.split_file(1)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of two files, with a folder below it, and a file that is an output by itself; no dvc.lock."""
    monkeypatch.chdir(tmp_path)
    (FOLDER / "images").mkdir(parents=True)
    SPLIT.parent.mkdir(parents=True)
    for file in (FOLDER / "a.csv", FOLDER / "b.npy", FOLDER / "images/1.png", SPLIT):
        file.write_text(f"content of {file}", encoding="utf-8")
    digests.seal(FOLDER)
    digests.seal(SPLIT)


def test_sha256sum_reads_what_is_written() -> None:
    for folder, sums in ((FOLDER, "SHA256SUMS"), (SPLIT.parent, "1.csv.sha256")):
        done = subprocess.run(["sha256sum", "--check", "--strict", sums], cwd=folder, capture_output=True, check=True)
        assert b"OK" in done.stdout


def test_the_files_of_a_folder_are_listed_and_none_of_a_folder_below() -> None:
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert [line[66:] for line in lines] == ["a.csv", "b.npy"]
    assert lines[0][:64] == hashlib.sha256((FOLDER / "a.csv").read_bytes()).hexdigest()


def test_the_same_files_give_the_same_bytes_whether_sealed_before_or_not() -> None:
    before = (FOLDER / "SHA256SUMS").read_bytes()
    digests.seal(FOLDER)
    assert (FOLDER / "SHA256SUMS").read_bytes() == before
    assert sorted(file.name for file in FOLDER.iterdir()) == ["SHA256SUMS", "a.csv", "b.npy", "images"]


def test_what_was_hashed_while_it_was_written_is_not_read_again() -> None:
    digests.seal(FOLDER, {"b.npy": "0" * 64})
    assert f"{'0' * 64}  b.npy\n" in (FOLDER / "SHA256SUMS").read_text(encoding="utf-8")


def test_whole_files_pass() -> None:
    digests.check(FOLDER / "a.csv", FOLDER / "b.npy", SPLIT)
    assert digests.read(SPLIT) == SPLIT.read_bytes()


@pytest.mark.parametrize("file", [FOLDER / "a.csv", SPLIT], ids=["of a folder", "by itself"])
def test_a_changed_file_is_named_with_both_digests_and_the_way_out(file: Path) -> None:
    old, new = (hashlib.sha256(text.encode()).hexdigest()[:12] for text in (f"content of {file}", "other"))
    file.write_text("other", encoding="utf-8")
    own = file.parent if file.parent == FOLDER else f"{file} {file}.sha256"
    message = (
        f"{file}: damaged: its SHA-256 is {new}..., and {paths.digests(file).name} has {old}...; "
        f"`rm -rf {own}`, then `dvc repro` makes it again"
    )
    for reader in (digests.check, digests.read):
        with pytest.raises(InputError) as caught:
            reader(file)
        assert str(caught.value) == message


@pytest.mark.parametrize("content", ["", "nonsense\n", f"{'0' * 63}  a.csv\n", f"{'0' * 64}  A.csv\n", "\x00\n"])
def test_digests_that_do_not_have_the_file_are_named_themselves(content: str) -> None:
    (FOLDER / "SHA256SUMS").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"^data/packed/SHA256SUMS: damaged: has no SHA-256 of a\.csv; `rm -rf"):
        digests.check(FOLDER / "a.csv")


@pytest.mark.parametrize("name", ["a.csv", "SHA256SUMS"])
def test_a_missing_file_is_named_with_what_makes_it(name: str) -> None:
    (FOLDER / name).unlink()
    with pytest.raises(InputError, match=rf"^data/packed/{name}: no such file; `dvc repro` makes it$"):
        digests.check(FOLDER / "a.csv")
    with pytest.raises(FileNotFoundError):
        digests.read(FOLDER / "a.csv")
