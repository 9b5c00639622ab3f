"""Folders of dvc.lock that DVC's cache lacks, as in a clone of results that nobody has pulled."""

from pathlib import Path

import pytest
import yaml

from pipeline.commands import doctor
from pipeline.core import paths
from pipeline.running import cell_clones, lost_outputs

HERE, GONE = "aa11.dir", "bb22.dir"


def _stage(path: str, md5: str) -> dict[str, object]:
    return {"cmd": "true", "outs": [{"path": path, "hash": "md5", "md5": md5, "size": 1}]}


def _cache(folder: Path) -> Path:
    place = folder / "cache/files/md5/aa/11.dir"
    place.parent.mkdir(parents=True)
    place.write_text("[]", encoding="utf-8")
    return folder / "cache"


def test_stages_whose_folders_the_cache_lacks_are_taken_out_of_dvc_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A single file is never looked into; it is brought or made when it is needed.
    stages = {"collect": _stage("data/collected", GONE), "source": _stage("models/source", HERE)}
    stages["report"] = _stage("metrics/report.csv", "cc33")
    lock = tmp_path / paths.LOCK
    lock.write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}), encoding="utf-8")
    cache = _cache(tmp_path)
    has = lost_outputs.in_cache(cache)
    assert lost_outputs.lost(lock.read_bytes(), has) == {"collect": ["data/collected"]}
    monkeypatch.setattr(cell_clones, "cache_of", lambda _: cache)
    (line,) = doctor.project_lines(tmp_path)
    assert line.startswith("project: dvc.lock names folders that DVC's cache lacks, such as data/collected; `dvc pull`")
    lost_outputs.forget(tmp_path, has)
    del stages["collect"]
    assert yaml.safe_load(lock.read_text(encoding="utf-8")) == {"schema": "2.0", "stages": stages}
    before = lock.read_bytes()
    lost_outputs.forget(tmp_path, has)
    assert lock.read_bytes() == before
    assert not list(doctor.project_lines(tmp_path))


def test_a_project_in_which_nothing_has_run_has_none(tmp_path: Path) -> None:
    lost_outputs.forget(tmp_path, lost_outputs.in_cache(_cache(tmp_path)))
    assert not (tmp_path / paths.LOCK).exists()
