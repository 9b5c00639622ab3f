"""The places of the user's own files, and an edit of params.yaml while a run goes on."""

import hashlib
from pathlib import Path

import pytest
import yaml

from pipeline.core import paths, places
from pipeline.core.errors import InputError


def lock(md5: str, **more: str) -> None:
    """A dvc.lock of which the stage `validate` has read params.yaml."""
    dep = {"path": "params.yaml", "md5": md5} | more
    stages = {"validate": {"cmd": "python", "deps": [dep]}}
    paths.LOCK.write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}), encoding="utf-8")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # As it is on Windows: DVC hashes the bytes.
    paths.PARAMS.write_bytes(b"folder: /photographs\r\n")


def test_a_place_is_read_from_the_file_that_was_checked() -> None:
    assert places.own("folder") == "/photographs"
    lock(hashlib.md5(paths.PARAMS.read_bytes()).hexdigest(), hash="md5")
    assert places.own("folder") == "/photographs"


def test_a_hash_of_an_earlier_dvc_says_nothing() -> None:
    lock("0" * 32)
    assert places.own("folder") == "/photographs"


def test_a_place_of_a_file_that_was_edited_since_is_refused() -> None:
    lock(hashlib.md5(paths.PARAMS.read_bytes()).hexdigest(), hash="md5")
    paths.PARAMS.write_text("folder: /others\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^params.yaml: edited since this run began; `dvc repro` runs it as it is"):
        places.own("folder")
