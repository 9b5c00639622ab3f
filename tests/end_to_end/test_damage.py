"""A wrong byte where DVC sees none: in a file whose size and time are as they were, and in its cache's object."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from clones import Clone

from pipeline.core.digests import sha256

pytestmark = pytest.mark.slow
FILES = ("data/packed/images.npy", "data/split/1.csv")


def flip(file: Path) -> None:
    """Change a byte, and neither size, time nor mode."""
    before, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(stat.S_IWUSR | stat.S_IRUSR)
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    file.chmod(stat.S_IMODE(before.st_mode))


def workspace(clone: Clone, name: str) -> None:
    # DVC hashes a file that it has not seen in this place, and from then on asks for size and time.
    clone.run("dvc", "status")
    flip(clone.root / name)


def cache(clone: Clone, name: str) -> None:
    """Damage the object, and have DVC bring its bytes back, which it does without a word."""
    content = (clone.root / name).read_bytes()
    objects = (file for file in (clone.root / ".dvc/cache/files").rglob("*") if file.is_file())
    [held] = [file for file in objects if file.read_bytes() == content]
    flip(held)
    clone.run("rm", "-rf", "data/packed", "data/split")
    clone.run("dvc", "checkout")
    assert (clone.root / name).read_bytes() != content


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [workspace, cache])
def test_what_is_said_of_a_wrong_byte_brings_the_file_back(
    stubbed: Clone, name: str, damage: Callable[[Clone, str], None]
) -> None:
    file = stubbed.root / name
    whole = sha256(file)
    damage(stubbed, name)
    assert sha256(file) != whole
    assert "changed outs" not in stubbed.run("dvc", "status", "split@1", "preprocess")
    told = stubbed.run("dvc", "repro", "--force", "--single-item", "train@1", code=255)
    [line] = [line for line in told.splitlines() if line.startswith("train: error: ")]
    assert line.startswith(f"train: error: {name}: damaged: its SHA-256 is ")
    commands = re.findall(r"`([^`]*)`", line)
    assert len(commands) == 2
    for command in commands:
        stubbed.run("bash", "-c", command)
    assert sha256(file) == whole
    stubbed.run("dvc", "repro", "--force", "--single-item", "train@1")
    # From the cache too, in which there is nothing wrong any more.
    stubbed.run("rm", "-rf", "data/packed", "data/split")
    stubbed.run("dvc", "checkout")
    assert sha256(file) == whole
