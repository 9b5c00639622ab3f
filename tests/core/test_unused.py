"""Results that nobody has used for 30 days."""

import os
import time
from pathlib import Path

from filelock import FileLock

from pipeline.core import paths, unused

DAY = 24 * 3600


def result(place: Path, days: float) -> Path:
    """A file or folder that was last used so many days ago."""
    if place.suffix:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("")
        paths.digests(place).write_text("")
    else:
        (place / "000001").mkdir(parents=True)
    os.utime(place, (time.time() - days * DAY,) * 2)
    return place


def test_what_nobody_used_for_30_days_is_removed_with_its_digest_and_all_else_stays(tmp_path: Path) -> None:
    channels = tmp_path / paths.CHANNELS
    old, recent = result(tmp_path / "features-1", 31), result(tmp_path / "features-2", 29)
    old_file, recent_file = result(channels / "1.safetensors", 31), result(channels / "2.safetensors", 29)
    unused.remove([old, recent, old_file, recent_file])
    assert not old.exists()
    assert recent.exists()
    assert sorted(file.name for file in channels.glob("*.safetensors*")) == ["2.safetensors", "2.safetensors.sha256"]


def test_what_a_process_uses_or_waits_for_is_left(tmp_path: Path) -> None:
    held, read = result(tmp_path / "features-1", 31), result(tmp_path / "features-2", 31)
    unused.note_use(read)
    with FileLock(unused.lock_of(held)):
        unused.remove([held, read])
    assert held.exists()
    assert read.exists()
    unused.note_use(tmp_path / "features-3")
