"""DVC's settings in a clone of ours: what was there stays, and DVC reads them whatever letters they have."""

from pathlib import Path

import pytest
from dvc.config import Config

from pipeline.experiments.dvc_config import FILE, set_local


@pytest.mark.parametrize("before", [None, "[core]\n    analytics = false\n['remote \"lab\"']\n    url = /srv/Zoë\n"])
def test_dvc_reads_what_is_set_beside_what_was_there(tmp_path: Path, before: str | None) -> None:
    project = tmp_path / "Zoë's spiders, 100 %"
    project.mkdir()
    if before:
        (project / ".dvc").mkdir()
        (project / FILE).write_text(before, encoding="utf-8")
    store = {"url": "s3://bücket/x", "profile": "a b"}
    set_local(project, {"cache": {"dir": str(project / "cache")}, 'remote "store"': store, "core": {"remote": "store"}})
    config = Config(str(project / ".dvc"), validate=False)
    assert config["cache"]["dir"] == str(project / "cache")
    assert dict(config["remote"]["store"]) == store
    assert config["core"]["remote"] == "store"
    if before:
        assert config["remote"]["lab"]["url"] == "/srv/Zoë"
        assert str(config["core"]["analytics"]).lower() == "false"
