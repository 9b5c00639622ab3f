"""dvc.lock as a kill, a merge or an editor leaves it, and other files of YAML with the marks of a merge."""

import re
from pathlib import Path

import pytest

from pipeline import config
from pipeline.core import lock_texts, lockfile, paths
from pipeline.core.errors import InputError

WHOLE = """\
schema: '2.0'
stages:
  preprocess:
    cmd: run
    outs:
    - {path: data/packed, md5: ab.dir}
    - {path: log}
"""
WAY_OUT = r"`git restore dvc\.lock` restores the committed one; or delete it, and `dvc repro` writes it again$"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_whole_lock_gives_its_stages_and_the_hashes_of_outputs_that_have_one() -> None:
    found = lockfile.stages(WHOLE.encode())
    assert list(found) == ["preprocess"]
    assert list(lockfile.outputs(found)) == [("data/packed", "ab.dir")]


def test_wherever_a_kill_cuts_it_what_dvc_refuses_is_told() -> None:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from voluptuous import Invalid

    entry = "    - path: data/packed\n      hash: md5\n      md5: ab.dir\n      size: 12\n"
    whole = (
        f"schema: '2.0'\nstages:\n  one:\n    cmd: run it\n    deps:\n{entry}    outs:\n{entry}  two:\n    cmd: run\n"
    )
    refused = 0
    for end in range(len(whole)):
        try:
            COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(whole[:end]) or {})
        except (Invalid, YAMLError):
            refused += 1
            with pytest.raises(InputError, match=r"^dvc\.lock: "):
                lockfile.check_whole(whole[:end].encode())
    assert refused > len(whole) / 2


def test_before_the_first_run_there_is_none() -> None:
    lockfile.check()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("\0" * 40, "not YAML: .*"),
        (WHOLE[:40], "has no stages"),
        (WHOLE[:88], "not YAML: .*"),
        ("- a\n", "has no stages"),
        ("stages: {a: 1}\n", "has no stages"),
        (WHOLE.partition("\n")[2], "has no schema"),
        (WHOLE.replace("cmd: run", "cmd:"), "the stage preprocess is incomplete"),
        (WHOLE.replace("path: log", "md5: ab"), "the stage preprocess is incomplete"),
        ("<<<<<<< HEAD\n" + WHOLE, "line 1 is a mark of a conflict in a merge; choose one side .*"),
        (WHOLE + ">>>>>>> other\n", "line 8 is a mark of a conflict in a merge; choose one side .*"),
    ],
)
def test_what_dvc_cannot_read_is_told_with_the_way_out(content: str, message: str) -> None:
    paths.LOCK.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=rf"(?s)^dvc\.lock: {message}; {WAY_OUT}"):
        lockfile.check()


def test_marks_of_a_merge_in_params_yaml_are_named_by_their_line() -> None:
    text = "recipe: quick\n<<<<<<< Updated upstream\nlr: auto\n=======\nlr: 1e-3\n>>>>>>> Stashed changes\n"
    paths.PARAMS.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"^params\.yaml: line 2 is a mark of a conflict in a merge; choose one side"):
        config.load()


def test_an_emptied_params_yaml_is_told_with_the_way_out() -> None:
    paths.PARAMS.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"^params\.yaml: empty; `git restore params\.yaml` restores the committed one$"
    ):
        config.load()


MERGED = WHOLE.replace(
    "    - {path: log}\n", "<<<<<<< HEAD\n    - {path: log}\n=======\n    - {path: other}\n>>>>>>> theirs\n"
)
OF_VALUES = (
    "schema: '2.0'\nstages:\n  a: {cmd: x, outs: [{path: '1', md5: '012', size: 3}], params: {p.yaml: {lr: 1e-05}}}\n"
)


@pytest.mark.parametrize("text", [WHOLE, MERGED, OF_VALUES, "[]", "stages: 1\n", "stages: {a: 1}\n", "stages: {}\n"])
def test_as_text_it_has_the_same_outputs_or_the_same_fault_wherever_it_is_cut(text: str) -> None:
    for end in range(len(text) + 1):
        content = text[:end].encode()
        try:
            stages = lockfile.stages(content)
        except InputError as error:
            with pytest.raises(InputError, match=re.escape(str(error))):
                lock_texts.stages(content)
            continue
        assert list(lock_texts.stages(content)) == list(stages)
        if all(map(lockfile.is_whole, stages.values())):
            assert list(lockfile.outputs(lock_texts.stages(content))) == list(lockfile.outputs(stages))
