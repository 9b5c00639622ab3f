"""The way back for a damaged file, with objects as DVC's cache has them; `end_to_end/test_damage.py` has DVC's own."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from pipeline.core import digests, dvc_cache, paths, restoring
from pipeline.core.errors import InputError

FOLDER, SPLIT = Path("data/packed"), paths.split_file(1)


def stored(cache: Path, content: bytes, suffix: str = "") -> str:
    """Put an object into the cache; gives the name by which dvc.lock has it."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    place = dvc_cache.object_of(cache, md5)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return md5


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a file as stages leave them, in a cache and in dvc.lock."""
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache of it"
    monkeypatch.setattr(restoring, "_cache", lambda: cache)
    for file in (FOLDER / "images.npy", SPLIT):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"content")
    digests.seal(FOLDER)
    digests.seal(SPLIT)
    entries = [{"md5": stored(cache, file.read_bytes()), "relpath": file.name} for file in FOLDER.iterdir()]
    outs = {FOLDER: stored(cache, json.dumps(entries).encode(), ".dir")}
    outs |= {file: stored(cache, file.read_bytes()) for file in (SPLIT, paths.digests(SPLIT))}
    listed = [{"path": path.as_posix(), "md5": md5} for path, md5 in outs.items()]
    paths.LOCK.write_text(yaml.safe_dump({"schema": "2.0", "stages": {"all": {"outs": listed}}}), encoding="utf-8")
    return cache


def told(file: Path) -> str:
    file.write_bytes(b"c0ntent")
    with pytest.raises(InputError) as caught:
        digests.check(file)
    return str(caught.value).partition("; ")[2]


def objects(cache: Path) -> dict[bytes, Path]:
    return {place.read_bytes(): place for place in cache.rglob("*") if place.is_file()}


OUTS = [(FOLDER / "images.npy", str(FOLDER)), (SPLIT, f"{SPLIT} {SPLIT}.sha256")]


@pytest.mark.parametrize(("file", "own"), OUTS, ids=["of a folder", "by itself"])
def test_where_the_cache_has_the_right_bytes_they_come_from_there(file: Path, own: str) -> None:
    assert told(file) == f"`rm -rf {own}`, then `dvc checkout {own}` restores it"


@pytest.mark.parametrize(("file", "own"), OUTS, ids=["of a folder", "by itself"])
def test_where_the_cache_has_wrong_bytes_too_its_object_has_to_go(cache: Path, file: Path, own: str) -> None:
    damaged = objects(cache)[b"content"]
    damaged.write_bytes(b"c0ntent")
    assert told(file) == (
        f"DVC's cache holds wrong bytes too: `rm -rf {own} '{damaged}'`, then `dvc repro` makes it again"
    )


def test_wrong_digests_in_the_cache_are_found_too(cache: Path) -> None:
    damaged = objects(cache)[(FOLDER / "SHA256SUMS").read_bytes()]
    damaged.write_bytes(b"0")
    assert told(FOLDER / "images.npy").startswith(f"DVC's cache holds wrong bytes too: `rm -rf {FOLDER} '{damaged}'`")


def test_what_the_cache_lacks_is_made_anew(cache: Path) -> None:
    objects(cache)[b"content"].unlink()
    assert told(FOLDER / "images.npy") == f"`rm -rf {FOLDER}`, then `dvc repro` makes it again"


@pytest.mark.parametrize("lock", ["", "<<<<<<< HEAD\n", "[]", "stages: {all: {outs: [{path: data/packed, md5: ab}]}}"])
def test_a_lock_that_tells_nothing_leaves_the_message_of_the_damage(lock: str) -> None:
    paths.LOCK.write_text(lock, encoding="utf-8")
    assert told(FOLDER / "images.npy") == f"`rm -rf {FOLDER}`, then `dvc repro` makes it again"


def test_of_another_revision_the_working_tree_stays_as_it_is(cache: Path) -> None:
    damaged = objects(cache)[b"content"]
    damaged.write_bytes(b"c0ntent")
    held = {file: file.read_bytes() for file in (*FOLDER.iterdir(), paths.LOCK)} | {FOLDER / "images.npy": b"c0ntent"}
    with pytest.raises(InputError, match=r"; DVC's cache holds it: `rm -f '.*'`, then `dvc exp run` makes it again$"):
        digests.read(FOLDER / "images.npy", held.__getitem__, "`dvc exp run` makes it again")


def test_a_folder_that_comes_into_the_cache_is_found_there(cache: Path) -> None:
    place = dvc_cache.object_of(cache, f"{'0' * 32}.dir")
    assert dvc_cache.listing(place) is None
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps([{"md5": "1" * 32, "relpath": "a.npy"}]), encoding="utf-8")
    assert dvc_cache.listing(place) == {"a.npy": "1" * 32}
