"""`orbweaver bundle`: what models/dvc.yaml has for one of another revision, and Ctrl-C."""

import shlex
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner

from pipeline import tracking
from pipeline.commands import bundle
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.experiments import cloning
from pipeline.recovery import earlier_bundle
from pipeline.running import cell_clones


@pytest.mark.parametrize("wanted", [bundle.Wanted("final", None, 0.1), bundle.Wanted("repeat", 1, 0.2)])
def test_it_is_one_that_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bundle.Wanted) -> None:
    def make(_root: Path, clone: Path, _revision: str) -> Path:
        (clone / paths.BUNDLE).mkdir(parents=True)
        return clone

    runtime = SimpleNamespace(git_commit="c" * 40)
    results = SimpleNamespace(repeats=[SimpleNamespace(number=1, runtime=runtime)])
    monkeypatch.setattr(cloning, "resolved", lambda *_: "a" * 40)
    monkeypatch.setattr(cloning, "make", make)
    monkeypatch.setattr(cloning, "run_dvc", lambda *_: None)
    monkeypatch.setattr(cell_clones, "cache_of", lambda root: root)
    monkeypatch.setattr(tracking, "read", lambda _: results)
    monkeypatch.setattr(earlier_bundle, "dvc", lambda *_, **__: None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    ran: list[dict[str, str]] = []

    def run(*_: object, env: dict[str, str] | None = None, **__: object) -> SimpleNamespace:
        # Git's and DVC's programs have no variables of ours.
        ran.extend([env] if env else [])
        return SimpleNamespace(returncode=max(len(ran) - 1, 0), stdout=b"")

    monkeypatch.setattr(subprocess, "run", run)
    bundle.make_elsewhere(tmp_path, "mine", wanted)
    # Where the run is that the card names.
    assert ran[0]["MLFLOW_TRACKING_URI"] == "http://host:5000"
    stage = yaml.safe_load((tmp_path / paths.BUNDLE_STAGE).read_text(encoding="utf-8"))["stages"]["bundle"]
    assert stage["frozen"]
    parameters = bundle.command.make_context("bundle", shlex.split(stage["cmd"])[2:]).params
    assert (parameters["experiment"], parameters["repeat"]) == ("a" * 40, wanted.repeat)
    assert parameters["final"] == (wanted.kind == "final")
    assert parameters["calibration"] == (0.1 if parameters["final"] else None)
    with pytest.raises(InputError, match=f"the experiment is of commit {'c' * 12}, whose code may have what this one"):
        bundle.make_elsewhere(tmp_path, "mine", wanted)


AS_BEFORE = "is as before, and the same command goes on"


@pytest.mark.parametrize(
    ("words", "step", "left", "state"),
    [
        ([], "make", {"bundle.json": "1"}, AS_BEFORE),
        (["mine"], "make_elsewhere", {"bundle.json": "1"}, AS_BEFORE),
        (["mine"], "make_elsewhere", {"bundle.json": "2"}, "is another than before, and the same command goes on"),
        ([], "make", {}, "is gone, and the same command makes it"),
    ],
)
def test_ctrl_c_says_what_is_there_and_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], step: str, left: dict[str, str], state: str
) -> None:
    def interrupted(*_: object) -> None:
        put(left)
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    paths.PARAMS.touch()
    put({"bundle.json": "1"})
    monkeypatch.setattr(bundle, step, interrupted)
    done = CliRunner().invoke(bundle.command, words)
    assert (done.exit_code, done.stderr) == (130, f"bundle: interrupted; models/bundle {state}\n")


def put(files: dict[str, str]) -> None:
    shutil.rmtree(paths.BUNDLE, ignore_errors=True)
    paths.BUNDLE.mkdir(parents=True)
    for name, text in files.items():
        (paths.BUNDLE / name).write_text(text, encoding="utf-8")
