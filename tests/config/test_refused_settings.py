"""Settings that nobody should have written, in params.yaml, in a study's file and behind -S: one short line each."""

import functools
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import yaml
from refusals import Refused, refusal, table

from pipeline import config
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.files import read_yaml
from pipeline.preview import overriding
from pipeline.studies import definition

MEMORY = 2**30


@functools.cache
def whole() -> str:
    """params.yaml with one recipe."""
    return yaml.safe_dump(tiny.recipe("quick"), sort_keys=False)


def behind(more: str) -> str:
    """The same with more lines."""
    return whole() + more


def put(key: str, text: str) -> str:
    """The same with other text behind a key at its top."""
    changed, count = re.subn(rf"(?m)^{key}: .*$", lambda _: f"{key}: {text}", whole())
    assert count == 1
    return changed


def doubled(first: str, more: str, levels: int) -> str:
    """A list or mapping of ten aliases of one of ten aliases, and so on."""
    lines = [f"a0: &a0 {first}", *(f"a{n}: &a{n} {more.replace('*', f'*a{n - 1}')}" for n in range(1, levels))]
    return "\n".join(lines) + "\n"


# The first line behind it.
NEXT = whole().count("\n") + 1
LISTS = doubled("[1, 2]", f"[{', '.join(['*'] * 10)}]", 10)
SECTIONS = doubled("{k: 1}", f"{{{', '.join(f'k{n}: *' for n in range(10))}}}", 10)
TOO_MANY = "more than 20,000 keys and values, those behind aliases included; settings are fewer"
TOO_DEEP = "more than 20 nested sections or lists; settings have fewer"
TOO_LONG = "characters; at most 4,096 are read"


@table(
    ("nothing", "", "empty; `git restore params.yaml`"),
    ("a comment", "# nothing\n", "empty; `git restore params.yaml`"),
    ("null", "null\n", "empty; `git restore params.yaml`"),
    ("a list", "- 1\n- 2\n", "a mapping of keys is needed, not list"),
    ("text", "text\n", "a mapping of keys is needed, not str"),
    ("lists of aliases", behind(LISTS), TOO_MANY),
    ("sections of aliases", behind(SECTIONS), TOO_MANY),
    ("sections of aliases in a recipe", SECTIONS + put("lr", "*a9"), TOO_MANY),
    ("an alias within itself", behind("x: &x [*x]\n"), f"line {NEXT}: the alias 'x' contains itself"),
    ("an alias of nothing", behind("x: *nowhere\n"), f"not YAML: line {NEXT}, column 4: found undefined alias"),
    ("brackets by the thousand", behind(f"x: {'[' * 2000}{']' * 2000}\n"), TOO_DEEP),
    ("open brackets by the thousand", put("lr", "{a: " * 50_000), TOO_DEEP),
    ("sections by the hundred", behind("".join(f"{' ' * n}k:\n" for n in range(300))), TOO_DEEP),
    ("too many keys", behind("".join(f"key{n}: 1\n" for n in range(20_000))), TOO_MANY),
    (
        "many unknown keys",
        behind("".join(f"key{n}: 1\n" for n in range(9_000))),
        "unknown key 'key0'; known here: recipe, data",
    ),
    ("too many entries", put("lr", f"[{'1,' * 100_000}]"), TOO_MANY),
    ("a file of megabytes", behind(f"# {'x' * 98}\n" * 20_000), "bytes; at most 1,000,000 are read"),
    ("a whole number of 5,000 digits", put("batch_size", "9" * 5000), f"a key or value of 5,000 {TOO_LONG}"),
    ("a number of 4,090 digits", put("batch_size", "9" * 4090), "batch_size: 9999"),
    (
        "a number of 4,090 hexadecimal digits",
        put("batch_size", f"0x{'f' * 4090}"),
        "a number of more than 4,300 digits",
    ),
    ("a name of as many", put("freeze", f"0x{'f' * 4090}"), "freeze: a number of more than 4,300 digits"),
    ("a number out of range", put("lr", "1e999"), "lr: inf: a finite number is needed"),
    ("no number", put("lr", ".nan"), "lr: nan: a finite number is needed"),
    ("minus infinity", put("lr", "-.inf"), "lr: -inf: a finite number is needed"),
    ("a value of 20,000 letters", put("freeze", "x" * 20_000), f"a key or value of 20,000 {TOO_LONG}"),
    ("a value of 4,000 letters", put("freeze", "x" * 4000), "xxx' (4,000 characters) is not one of auto, 1, 2, 3a"),
    ("a key of 20,000 letters", behind(f"{'k' * 20_000}: 1\n"), f"not YAML: line {NEXT}"),
    ("a key of 20,000 letters as YAML has it", behind(f"? {'k' * 20_000}\n: 1\n"), f"of 20,000 {TOO_LONG}"),
    ("a key of 4,000 letters", behind(f"? {'k' * 4000}\n: 1\n"), "kkk' (4,000 characters); known here: recipe, data"),
    ("a key twice", behind("lr: 1\nlr: 2\n"), f'not YAML: line {NEXT}, column 1: found duplicate key "lr"'),
    ("a tab", behind("x:\n\ty: 1\n"), f"not YAML: line {NEXT + 1} begins with a tab; YAML takes blanks alone"),
    ("a NUL", behind("x: a\0b\n"), f"not YAML: line {NEXT}: control characters are not allowed"),
    ("a bell", behind("x: a\ab\n"), f"not YAML: line {NEXT}: control characters are not allowed"),
    ("an escape", put("freeze", '"a\\e[31mb"'), r"freeze: 'a\x1b[31mb' is not one of"),
    ("an escape in a key", behind('"a\\e[31mb": 1\n'), r"unknown key 'a\x1b[31mb'"),
    ("a NUL in a place", put("folder", '"/a\\0b"'), r"folder: '/a\x00b': it has '\x00', which cannot be seen; rename"),
    ("several lines in a place", put("folder", '"/a\\nb"'), r"'/a\nb': it has '\n', which cannot be seen; rename"),
    ("an end of a line of another kind", put("archive", '"/a\\Lb"'), r"it has '\u2028', which cannot be seen"),
    ("a template in a place", put("weights_file", "/a${lr}"), "DVC would put a value in place of its '${'; rename"),
    ("UTF-16", whole().encode("utf-16"), "the text is UTF-16; save it as UTF-8"),
    ("Latin 1", whole().encode() + b"x: \xe9\n", f"line {NEXT} has the byte 0xe9, which is no UTF-8; save it as UTF-8"),
    ("a picture", b"\x89PNG\r\n\x1a\n\0\0", "line 1 has the byte 0x89, which is no UTF-8"),
    ("a number as a key", behind("1: 2\n"), "the key 1 is no text; put it in quotes, or take it out"),
    ("a date as a key", behind("2020-01-01: 2\n"), "the key 2020-01-01 is no text"),
    ("true as a key", behind("true: 2\n"), "the key True is no text"),
    ("null as a key", behind("null: 2\n"), "the key None is no text"),
    ("a list as a key", behind("? [1, 2]\n: 3\n"), "the key (1, 2) is no text"),
    ("a mapping as a key", behind("? {a: 1}\n: 3\n"), f"not YAML: line {NEXT}, column 3: found unhashable key"),
    ("a merge of no mapping", behind("<<: 5\n"), "expected a mapping or list of mappings for merging"),
    ("a merge of unknown keys", behind("<<: {lrr: 5}\n"), "unknown key 'lrr'; did you mean 'lr'?"),
    ("a call of Python", put("lr", "!!python/object/apply:os.getcwd []"), "could not determine a constructor for the"),
    ("a tag of one's own", put("lr", "!mine 1"), "could not determine a constructor for the tag '!mine'"),
    ("bytes", put("lr", "!!binary aGVsbG8="), "lr: b'hello': a number is needed"),
    ("a set", put("lr", "!!set {a}"), "lr: {'a'}: a number is needed"),
    ("a date", put("freeze", "2020-01-01"), "freeze: 2020-01-01: text is needed"),
    ("no", put("freeze", "no"), "freeze: 'no' is not one of auto, 1, 2, 3a"),
    ("on", put("device", "on"), "device: 'on': is not one of auto, cuda"),
    ("off", put("attention", "off"), "attention: 'off' is not one of auto, none"),
    (
        "conflict marks",
        behind("<<<<<<< HEAD\nx: 1\n=======\nx: 2\n>>>>>>> other\n"),
        f"line {NEXT} is a mark of a conflict",
    ),
    (
        "the last conflict mark",
        behind(">>>>>>> other\n"),
        f"line {NEXT} is a mark of a conflict in a merge; choose one side",
    ),
    ("two documents", behind("---\na: 1\n"), f"not YAML: line {NEXT}, column 1: found another document"),
    ("another YAML", f"%YAML 9.9\n---\n{whole()}", "not YAML: line 1, column 1: found incompatible YAML document"),
    ("an open quote", behind('x: "abc\n'), "found unexpected end of stream"),
    ("an at sign", put("lr", "@x"), "found character that cannot start any token"),
    ("text of several lines", put("freeze", "|\n  a\n  b"), r"freeze: 'a\nb\n' is not one of"),
    ("minutes", put("lr", "1:30"), "lr: '1:30': a number is needed"),
)
def test_a_file_that_cannot_be_used_is_refused_in_one_short_line(
    case: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths.PARAMS.write_bytes(case.given if isinstance(case.given, bytes) else case.given.encode())
    line = refusal(config.load, capsys)
    assert line.startswith("params.yaml: ")
    assert case.line in line


def test_what_is_unusual_but_plain_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in (f"\ufeff{whole()}", put("lr", "&a 1.0e-2"), put("batch_size", "010"), put("batch_size", "0x10")):
        paths.PARAMS.write_text(text, encoding="utf-8")
        axes = config.load().axes
        assert (axes.lr, axes.batch_size) in (("auto", "auto"), (0.01, "auto"), ("auto", 10), ("auto", 16))


@pytest.mark.parametrize("text", [behind(LISTS), put("lr", "[" * 100_000)], ids=["aliases", "brackets"])
def test_neither_aliases_of_aliases_nor_brackets_take_memory_or_end_the_interpreter(text: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.stages.validate"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("validate: error: params.yaml: line ")


NOT_ONE_VALUE = "one value is needed; several are for `dvc exp run --queue`"
QUOTES = "KEY=VALUE is needed, and quotes around a value with signs in it, such as \"folder='/my photos'\""


@table(
    ("brackets by the thousand", f"lr={'[' * 1000}{']' * 1000}", "more than 20 nested brackets; give fewer"),
    ("sections by the hundred", f"lr={'{a:' * 100}1{'}' * 100}", "more than 20 nested brackets"),
    ("a value of 20,000 letters", f"freeze={'x' * 20_000}", "at most 4,096 are read; write it into params.yaml"),
    ("a value of 4,000 letters", f"freeze={'x' * 4000}", "xxx' (4,000 characters) is not one of auto, 1, 2"),
    ("a key of 20,000 letters", f"{'k' * 20_000}=1", "at most 4,096 are read"),
    ("a key of 4,000 letters", f"{'k' * 4000}=1", "; the keys are those of params.yaml"),
    ("a key of 1,000 parts", f"{'.'.join('a' * 1000)}=1", "; the keys are those of params.yaml"),
    ("a number of 5,000 digits", f"batch_size={'9' * 5000}", "at most 4,096 are read"),
    ("a number of 4,000 digits", f"batch_size={'9' * 4000}", "batch_size: 9999"),
    ("a number out of range", "lr=1e999", "lr: inf: a finite number is needed"),
    ("no number", "lr=nan", "lr: nan: a finite number is needed"),
    ("nothing", "", QUOTES),
    ("no value", "lr", QUOTES),
    ("an empty value", "lr=", "lr: '': a number is needed"),
    ("no key", "=1", "; the keys are those of params.yaml"),
    ("an open quote", "folder='/a", QUOTES),
    ("a letter that needs quotes", "folder=/ä", QUOTES),
    ("a byte that is no letter", "folder=/\udcff", QUOTES),
    ("an escape", "freeze='\x1b[31m'", r"freeze: '\x1b[31m' is not one of"),
    ("a NUL", "folder='/a\0b'", r"folder: '/a\x00b': it has '\x00', which cannot be seen"),
    ("a choice", "freeze=1,2", NOT_ONE_VALUE),
    ("a range", "repeats=range(1,5)", NOT_ONE_VALUE),
    ("a pattern", "freeze=glob(*)", NOT_ONE_VALUE),
    ("a value of nowhere", "freeze=${nowhere}", "Interpolation key 'nowhere' not found"),
    ("a missing value", "freeze=???", "Missing mandatory value: freeze"),
    ("a key taken out", "~lr", "key 'lr' is missing"),
    ("a group", "recipe@x=1", "; the keys are those of params.yaml"),
    ("an entry of a list", "phases.0.lr=1", "; the keys are those of params.yaml"),
    ("a number for all recipes", "recipes=5", "recipes: 5: the keys of this section are needed"),
    ("a command as a repeat", "repeats=['$(touch x)']", "repeats.0: '$(touch x)': a whole number is needed"),
    ("another", "repeats=['1; touch x']", "repeats.0: '1; touch x': a whole number is needed"),
    ("a repeat below zero", "repeats=[-1]", "repeats.0: -1: should be greater than or equal to 0"),
    ("half a repeat", "repeats=[1.5]", "repeats.0: 1.5: a whole number is needed"),
    ("a repeat with a point", "repeats=[1.0]", "repeats.0: 1.0: a whole number is needed"),
    ("a repeat as text", "repeats=['01']", "repeats.0: '01': a whole number is needed"),
    ("a repeat in a list", "repeats=[[1]]", "repeats.0: [1]: a whole number is needed"),
    ("a repeat in a section", "repeats=[{a:1}]", "repeats.0: {'a': 1}: a whole number is needed"),
    ("true as a repeat", "repeats=[true]", "repeats.0: True: a number is needed, not true or false"),
    ("null as a repeat", "repeats=[null]", "repeats.0: empty: a whole number is needed"),
    ("a huge repeat", "repeats=[4294967296]", "repeats.0: 4294967296: should be less than 4294967296"),
)
def test_a_word_that_cannot_be_used_is_refused_in_one_short_line(
    case: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths.PARAMS.write_text(whole(), encoding="utf-8")
    assert case.line in refusal(lambda: overriding.read([case.given]), capsys)
    assert paths.PARAMS.read_text(encoding="utf-8") == whole()


@table(
    ("a list as a key", behind("? [1, 2]\n: 3\n"), "params.yaml: the key (1, 2) is no text"),
    ("a list", "- 1\n", "params.yaml: a mapping of keys is needed, not list"),
    ("a tab", "x:\n\ty: 1\n", "params.yaml: not YAML: line 2 begins with a tab"),
)
def test_a_word_on_a_file_that_cannot_be_used_is_refused_by_the_files_own_line(
    case: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths.PARAMS.write_text(case.given, encoding="utf-8")
    assert refusal(lambda: overriding.read(["lr=1"]), capsys).startswith(case.line)


ONE_CELL = "cells: {a: {set: {freeze: 1}}}\n"


@table(
    ("nothing", "", "a mapping of keys is needed: title, source"),
    ("a list", "- 1\n", "a mapping of keys is needed: title, source"),
    ("lists of aliases", f"title: t\n{LISTS}", TOO_MANY),
    ("brackets", f"title: {'[' * 100_000}", TOO_DEEP),
    (
        "too many combinations",
        "title: t\ngrid:\n" + "".join(f"  a{n}: [1,2,3,4]\n" for n in range(9)),
        "262,144 combin",
    ),
    ("a title of 20,000 letters", f"title: {'x' * 20_000}\n{ONE_CELL}", TOO_LONG),
    (
        "a key of 4,000 letters",
        f"title: t\n? {'k' * 4000}\n: 1\n{ONE_CELL}",
        "kkk' (4,000 characters); known here: title",
    ),
    (
        "a cell of 1,000 letters",
        f"title: t\ncells: {{{'ä' * 1000}: }}\n",
        "is no name; letters, digits, - and _ make one",
    ),
    ("a baseline of 4,000 letters", f"title: t\n{ONE_CELL}baseline: {'x' * 4000}\n", "is no cell; the cells are a"),
    ("a call of Python", f"title: !!python/object/apply:os.getcwd []\n{ONE_CELL}", "could not determine a constructor"),
    ("conflict marks", f"<<<<<<< HEAD\ntitle: t\n{ONE_CELL}", "line 1 is a mark of a conflict in a merge"),
    ("UTF-16", f"title: t\n{ONE_CELL}".encode("utf-16"), "the text is UTF-16; save it as UTF-8"),
    ("a NUL", f"title: a\0b\n{ONE_CELL}", "line 1: control characters are not allowed"),
    ("a tab", "title: t\ncells:\n\ta: {}\n", "line 3 begins with a tab; YAML takes blanks alone"),
    ("a number as a key", f"title: t\n1: 2\n{ONE_CELL}", "1"),
)
def test_a_studys_file_that_cannot_be_used_is_refused_in_one_short_line(
    case: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("mine.yaml")
    file.write_bytes(case.given if isinstance(case.given, bytes) else case.given.encode())
    line = refusal(lambda: definition.find("mine.yaml"), capsys)
    assert line.startswith("mine.yaml: ")
    assert case.line in line


def test_a_study_of_20_000_letters_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in ("x" * 20_000, "x" * 200, f"{'x' * 20_000}.yaml", "a\0b.yaml", "a\0b"):
        refusal(lambda given=given: definition.find(given), capsys)  # type: ignore[misc]


def test_a_file_that_grows_while_it_is_checked_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: &a [1]\nb: [*a, *a]\n", encoding="utf-8")
    assert read_yaml(file) == {"a": [1], "b": [[1], [1]]}
    file.write_text("a: [\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.yaml: not YAML: line 2, column 1: "):
        read_yaml(file)
