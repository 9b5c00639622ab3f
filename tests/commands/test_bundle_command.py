"""The command that models/dvc.yaml has for a bundle of another revision."""

import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from pipeline import tracking
from pipeline.commands import bundle
from pipeline.core import paths
from pipeline.experiments import cloning
from pipeline.running import cell_clones


@pytest.mark.parametrize("wanted", [bundle.Wanted("final", None, 0.1), bundle.Wanted("repeat", 1, 0.2)])
def test_it_is_one_that_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bundle.Wanted) -> None:
    def make(_root: Path, clone: Path, _revision: str) -> Path:
        (clone / paths.BUNDLE).mkdir(parents=True)
        return clone

    monkeypatch.setattr(cloning, "resolved", lambda *_: "a" * 40)
    monkeypatch.setattr(cloning, "make", make)
    monkeypatch.setattr(cloning, "run_dvc", lambda *_: None)
    monkeypatch.setattr(cell_clones, "cache_of", lambda root: root)
    monkeypatch.setattr(tracking, "read", lambda _: SimpleNamespace(repeats=[SimpleNamespace(number=1)]))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0))
    bundle.make_elsewhere(tmp_path, "mine", wanted)
    stage = yaml.safe_load((tmp_path / paths.BUNDLE_STAGE).read_text(encoding="utf-8"))["stages"]["bundle"]
    assert stage["frozen"]
    parameters = bundle.command.make_context("bundle", shlex.split(stage["cmd"])[2:]).params
    assert (parameters["experiment"], parameters["repeat"]) == ("a" * 40, wanted.repeat)
    assert parameters["final"] == (wanted.kind == "final")
    assert parameters["calibration"] == (0.1 if parameters["final"] else None)
