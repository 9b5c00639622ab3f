import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import click.testing
import pytest
import yaml

from pipeline import commands, tracking
from pipeline.commands import main, reproduce
from pipeline.core import digests
from pipeline.core.errors import InputError
from pipeline.core.records import MachineRecord
from pipeline.experiments import cloning, dvc_config
from pipeline.recovery import mending
from pipeline.running import rerun
from pipeline.tracking import lookup

HERE = tracking.Folder(Path())


ORIGIN = tracking.RunOrigin(repeats=[1, 2], commit="", changes="", stages={}, records={}, machines={})


def git(*words):
    done = subprocess.run(("git", *words), capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(clone):
    """A repository with one commit; gives that commit."""
    git("init", "--quiet")
    git("config", "user.email", "someone@example.org")
    git("config", "user.name", "Someone")
    git("add", "params.yaml")
    git("commit", "--quiet", "--message", "start")
    return git("rev-parse", "HEAD")


def asked(monkeypatch, **changes):
    """`reproduce RUN` of a run of which this was recorded."""
    found = ORIGIN.model_copy(update=changes)
    monkeypatch.setattr(tracking, "recorded", lambda run: found)
    return click.testing.CliRunner().invoke(reproduce.command, ["RUN"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"commit": ""}, "made outside git, so its code is not recorded; commit it and run again"),
        ({"commit": "a" * 40}, "commit aaaaaaaaaaaa is not in this clone: `git fetch` it from the clone that made"),
        ({"commit": "a" * 40, "changes": None}, "with uncommitted changes that were not kept"),
    ],
)
def test_a_run_that_cannot_be_made_again_is_told_with_the_way_out(project, monkeypatch, changes, message):
    with pytest.raises(InputError, match=message):
        asked(monkeypatch, **changes)


def test_a_run_that_nobody_knows_has_another_status_than_one_that_differs(project, monkeypatch, capsys):
    def unknown(run, *_):
        raise InputError(f"{run}: no such run")

    monkeypatch.setattr(tracking, "recorded", unknown)
    monkeypatch.setattr(sys, "argv", ["orbweaver", "reproduce", "RUN"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert capsys.readouterr().err == "orbweaver: error: RUN: no such run\n"
    # What every command does before its own work fails as well.
    Path(".dvc").mkdir()
    monkeypatch.setattr(mending, "prepare", unknown)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2


@pytest.mark.parametrize(
    ("words", "status"), [(["predict", "bundle"], 1), (["compare"], 1), (["reproduce", "--repeat"], 2)]
)
def test_an_empty_word_is_refused_and_is_not_the_folder_of_the_call(monkeypatch, capsys, words, status):
    monkeypatch.setattr(sys, "argv", ["orbweaver", *words, ""])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == status
    line = f"an empty word after `{' '.join(['orbweaver', *words])}`, as of a shell's variable that is not set"
    assert capsys.readouterr().err == f"orbweaver: error: {line}; give a name\n"


@pytest.mark.parametrize("within", ["the command", "its module"])
def test_a_module_that_is_not_installed_has_the_status_of_an_error(project, monkeypatch, capsys, within):
    def missing(*_):
        raise ModuleNotFoundError("No module named 'mlflow'", name="mlflow")

    place = (tracking, "recorded") if within == "the command" else (commands, "import_module")
    monkeypatch.setattr(*place, missing)
    monkeypatch.setattr(sys, "argv", ["orbweaver", "reproduce", "RUN"])
    with pytest.raises(SystemExit) as left:
        commands.main()
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("orbweaver: error: Python's module 'mlflow' is not installed")


def test_a_repeat_that_the_run_has_not_is_refused():
    with pytest.raises(InputError, match="--repeat 3: run RUN has the repeats 1, 2"):
        reproduce.only(ORIGIN, 3, "RUN")


def test_the_temporary_clone_has_the_commit_and_the_changes_and_is_gone_in_the_end(project):
    Path("params.yaml").write_text("recipe: ecsm\n", encoding="utf-8")
    changes = git("diff") + "\n"
    git("checkout", "--quiet", "params.yaml")
    with cloning.cloned(Path.cwd(), project, changes, keep=False) as made:
        assert (made / "params.yaml").read_text(encoding="utf-8") == "recipe: ecsm\n"
    assert not made.parent.exists()
    with pytest.raises(KeyboardInterrupt), cloning.cloned(Path.cwd(), project, "", keep=False) as made:
        raise KeyboardInterrupt
    assert not made.parent.exists()


def test_changes_that_do_not_fit_the_commit_are_told_in_gits_words(project):
    with pytest.raises(InputError, match="git apply: "), cloning.cloned(Path.cwd(), project, "nonsense\n", keep=False):
        pass


def test_where_git_cannot_write_one_file_is_named_with_the_room_and_the_way_out(tmp_path, monkeypatch):
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    lines = "\n".join(f"error: unable to write file data/{number}" for number in range(50))
    program.write_text(f"#!/bin/sh\ncat >&2 <<END\nPreparing\n{lines}\nEND\nexit 128\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    with pytest.raises(InputError) as raised:
        cloning.git(tmp_path, "checkout", "x")
    room = rf"[\d,.]+ MiB are free in {tmp_path}, [\d,.]+ MiB are free in {tempfile.gettempdir()}"
    way_out = "; make room, or set TMPDIR to a larger disk"
    assert re.fullmatch(rf"git checkout: error: unable to write file data/0 \({room}\){way_out}", str(raised.value))


def test_a_program_that_fails_in_the_clone_is_told_with_what_was_run(project):
    with pytest.raises(InputError, match="`dvc repro nothing` failed in the temporary clone"):
        cloning.run_dvc(Path.cwd(), "repro", "nothing")


def test_what_a_run_was_made_from_is_found_by_the_runs_id(tracked, files, runs):
    files.experiment(tracked)
    tracking.publish(HERE)
    parent = next(run.info.run_id for run in runs() if "repeats" in run.data.params)
    child = next(run.info.run_id for run in runs() if run.data.tags.get("orbweaver.repeat") == "2")
    assert lookup.recorded(parent).repeats == [1, 2]
    found = lookup.recorded(child)
    assert (found.repeats, found.commit, found.changes) == ([2], "f" * 40, "")
    assert found.machines[2].versions["torch"] == "2.5.0"
    assert found.stages["preprocess"]["outs"] == [{"path": "data/packed", "md5": "a" * 32 + ".dir"}]
    assert "report" not in found.stages
    for name in ("nobody", "no body/at all"):
        wanted = rf"^{name}: no run in MLflow, no DVC experiment and no revision of that name; `dvc exp show` lists "
        with pytest.raises(InputError, match=wanted):
            lookup.recorded(name)


def test_a_dirty_run_of_which_no_change_was_kept_says_so(clone, files):
    files.experiment(clone)
    runtime = json.loads(Path("metrics/runtime/2.json").read_text(encoding="utf-8"))
    runtime |= {"git_dirty": True, "git_changes": None, "started": "2026-02-02T03:04:05+00:00"}
    Path("metrics/runtime/2.json").write_text(json.dumps(runtime), encoding="utf-8")
    digests.seal(Path("metrics/runtime/2.json"))
    assert tracking.made_from(tracking.read(HERE), [1, 2]).changes is None
    assert tracking.made_from(tracking.read(HERE), [1]).changes == ""
    runtime["git_changes"] = "diff"
    Path("metrics/runtime/2.json").write_text(json.dumps(runtime), encoding="utf-8")
    digests.seal(Path("metrics/runtime/2.json"))
    assert tracking.made_from(tracking.read(HERE), [1, 2]).changes == "diff"


def test_the_verdict_ends_with_the_answer_in_one_line():
    told = {"run": "r", "commit": "c", "repeats": [1], "outputs": {"a": "identical", "b": "different"}}
    told |= {"identical": False, "first": "b", "where": "x.csv", "causes": ["seed 1 in the run, 2 here"]}
    last = reproduce.as_text(told).splitlines()[-1]
    assert last == "different: 1 of 2 outputs, first b, x.csv; likely cause: seed 1 in the run, 2 here"
    told |= {"outputs": {"a": "identical"}, "identical": True}
    assert reproduce.as_text(told).splitlines()[-1] == "identical: all 1 outputs, bit by bit"


def test_the_interpreter_of_the_clone_is_this_one():
    assert cloning.environment()["PATH"].startswith(str(Path(sys.executable).parent))


@pytest.mark.parametrize(("photographs", "absolute"), [((), False), (("a/1.jpg",), True)])
def test_only_photographs_that_git_does_not_have_are_named_by_their_own_place(tmp_path, photographs, absolute):
    root, project = tmp_path / "root", tmp_path / "project"
    for place in (root, project):
        (place / "data/own").mkdir(parents=True)
        (place / "data/own/README.md").touch()
    for name in photographs:
        (root / "data/own" / name).parent.mkdir()
        (root / "data/own" / name).touch()
    (project / "params.yaml").write_text("repeats:\n- 1\nthreads: auto\nfolder: data/own\n", encoding="utf-8")
    machine = MachineRecord(device_name="a CPU", threads=4, versions={})
    rerun.set_values(root, project, ORIGIN.model_copy(update={"repeats": [2], "machines": {2: machine}}))
    told = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    assert told == {"repeats": [2], "threads": 4, "folder": str(root / "data/own") if absolute else "data/own"}


def test_what_is_taken_from_dvcs_cache_is_taken_from_where_its_settings_have_it(project, tmp_path, monkeypatch):
    for name, text in (("config", ""), ("config.local", f"[cache]\n    dir = {tmp_path / 'shared'}\n")):
        Path(".dvc").mkdir(exist_ok=True)
        Path(".dvc", name).write_text(text, encoding="utf-8")
    folder = tmp_path / "shared/files/md5/aa/bb.dir"
    folder.parent.mkdir(parents=True)
    folder.write_text('[{"relpath": "a", "md5": "c"}]', encoding="utf-8")
    assert rerun.listing(Path.cwd(), "aabb.dir") == {"a": "c"}
    ran = []
    monkeypatch.setattr(cloning, "run_dvc", lambda _, *words: ran.append(words))
    monkeypatch.setattr(rerun, "set_values", lambda *_: None)
    monkeypatch.setattr(tracking, "read", lambda _: None)
    monkeypatch.setattr(tracking, "made_from", lambda *_: ORIGIN)
    clone = tmp_path / "clone"
    clone.mkdir()
    rerun.made_again(Path.cwd(), clone, ORIGIN, reuse_data=True)
    assert [words[0] for words in ran] == ["repro", "repro"]
    assert f"dir = {tmp_path / 'shared'}\n" in (clone / dvc_config.FILE).read_text(encoding="utf-8")
