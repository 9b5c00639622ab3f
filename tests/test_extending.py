"""What docs/extending.md shows works as it stands: its blocks are put into a copy of the project, and that is run."""

import ast
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import clones
import pytest
import yaml
from clones import PROJECT, Clone

GUIDE = (PROJECT / "docs/extending.md").read_text(encoding="utf-8")

PLACED = re.compile(
    r"(?:in\s+`(?P<name>\w+)`\s+of|(?P<end>end)\s+of|new\s+file)\s+`(?P<path>[^`]+)`:\n\n"
    r"```python\n(?P<code>.*?)```",
    re.DOTALL | re.IGNORECASE,
)
BACKBONES = ["resnext50_32x4d", "mobilenet_v3_large"]
SECTIONS = re.compile(r"In `(?P<key>\w+)` of each paper in\s+`params.yaml`:\n\n```yaml\n(?P<section>.*?)```", re.DOTALL)


class Block(NamedTuple):
    """Code of the guide, and where it says that it goes."""

    path: str
    name: str
    is_at_end: bool
    code: str


BLOCKS = [Block(m["path"], m["name"] or "", bool(m["end"]), m["code"]) for m in PLACED.finditer(GUIDE)]
OPTION_CLASSES = {block.name: block for block in BLOCKS if block.name in ("AttentionOptions", "RegularizerOptions")}
OPTIONS_OF = {
    "AttentionOptions": ("attention", "context", "network.attention_options"),
    "RegularizerOptions": ("regularizer", "direction", "regularizer.method_options"),
}
# What the guide adds to each paper, by its place in one.
ADDED = {
    place: yaml.safe_load(dict(SECTIONS.findall(GUIDE))[place.partition(".")[2]]) for _, _, place in OPTIONS_OF.values()
}
WITHOUT_OPTIONS = [block for block in BLOCKS if block.name not in OPTION_CLASSES]
NEW_FILES = [block.path for block in BLOCKS if not block.name and not block.is_at_end]
# The last of what there is to choose, once the guide's rows are there.
LAST = {
    "backbone": "mobilenet_v2, resnext50_32x4d, mobilenet_v3_large",
    "attention": "context",
    "regularizer": "direction",
}
# What a short training is of.
CHOSEN = {"backbone": "mobilenet_v3_large", "attention": "context", "weights": "none", "freeze": "2"}
NEEDED = ("pipeline", "tests", "params.yaml", "dvc.yaml", "pyproject.toml", "README.md")
Answers = dict[str, Any]
Shared = Callable[[str, Callable[[Path], None]], Path]


def put(root: Path, block: Block) -> None:
    """Do with a block what the guide says."""
    file = root / block.path
    if not block.name and not block.is_at_end:
        assert not file.exists(), f"{block.path} is not new"
        file.write_text(block.code, encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}\n\n{block.code}" if block.is_at_end else named(text, block), encoding="utf-8")


def named(text: str, block: Block) -> str:
    """With the code as the last rows of the table, names of the literal or fields of the class."""
    statement = next(node for node in ast.parse(text).body if block.name in names(node))
    is_class = isinstance(statement, ast.ClassDef)
    whole = statement if is_class else statement.value  # type: ignore[attr-defined]
    lines = text.splitlines(keepends=True)
    end = sum(map(len, lines[: whole.end_lineno - 1])) + whole.end_col_offset - (not is_class)
    before = text[:end].rstrip()
    comma = "" if is_class or before.endswith(",") else ","
    return f"{before}{comma}\n{block.code.rstrip()}\n{text[end:]}"


def names(statement: ast.stmt) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {getattr(target, "id", "") for target in targets} | {getattr(statement, "name", "")}


def extended(place: Path, blocks: Sequence[Block]) -> Clone:
    """A copy of the project with these blocks in it."""
    (place / "project").mkdir()
    clones.copy_project(place / "project", *NEEDED)
    copy = Clone(place / "project", place, first=str(place / "project"))
    for block in blocks:
        put(copy.root, block)
    return copy


def asked(copy: Clone, question: str, given: Answers) -> Answers:
    """What tests/extended.py finds out in a copy; it asks everything in one process, since torch takes seconds."""
    file = copy.root.parent / f"{question}.json"
    (copy.root / "given.json").write_text(json.dumps(given), encoding="utf-8")
    copy.run("bash", "-c", f"{sys.executable} tests/extended.py {question} {file} < given.json")
    found: Answers = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def answers(shared: Shared) -> Answers:
    """What a copy with both backbones, the mechanism and the regularizer of the guide tells."""

    def make(folder: Path) -> None:
        given = {"backbones": BACKBONES, "chosen": CHOSEN, "regularizer": "direction"}
        asked(extended(folder, WITHOUT_OPTIONS), "without_options", given)

    folder = shared("extended", make)
    found: Answers = json.loads((folder / "without_options.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def with_options(shared: Shared) -> Answers:
    """What a copy tells whose mechanism and regularizer have options too."""

    def make(folder: Path) -> None:
        choices = [f"{axis}={name}" for axis, name, _ in OPTIONS_OF.values()]
        asked(extended(folder, BLOCKS), "with_options", {"sections": ADDED, "choices": choices})

    folder = shared("with_options", make)
    found: Answers = json.loads((folder / "with_options.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def passed(shared: Shared) -> dict[str, int]:
    """How many of the project's own tests of networks pass in a copy, by the new name that they are of."""

    def make(folder: Path) -> None:
        tables = f"({' or '.join(BACKBONES)}) and (test_build or test_freezing)"
        words = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "-m", "not slow and not real"]
        words += [f"--junitxml={folder}/told.xml", "-k", f"context or ({tables})", "tests/networks"]
        copy = extended(folder, WITHOUT_OPTIONS)
        copy.run(sys.executable, "-m", "pytest", *words)

    folder = shared("tested", make)
    cases = [case for case in ElementTree.parse(folder / "told.xml").iter("testcase") if not len(case)]
    return {name: sum(name in case.attrib["name"] for case in cases) for name in (*BACKBONES, "context")}


def test_every_block_of_the_guide_says_where_it_goes() -> None:
    assert BLOCKS
    assert len(BLOCKS) == GUIDE.count("```python")
    assert OPTION_CLASSES.keys() == OPTIONS_OF.keys()
    assert len(SECTIONS.findall(GUIDE)) == GUIDE.count("```yaml") == len(OPTIONS_OF)


def test_a_new_file_of_the_guide_is_in_a_folder_that_training_depends_on() -> None:
    deps = {Path(dep) for dep in clones.DEFINITION["train"]["deps"]}
    assert NEW_FILES
    assert all(deps & {Path(file), *Path(file).parents} for file in NEW_FILES)


def test_the_guides_code_uses_no_name_that_its_files_have_not(tmp_path: Path) -> None:
    copy = extended(tmp_path, BLOCKS)
    copy.run("ruff", "check", "--no-cache", "--select", "F", "pipeline", "tests/networks")


def test_what_is_not_known_is_told_with_the_new_names(tmp_path: Path) -> None:
    told = asked(extended(tmp_path, WITHOUT_OPTIONS), "unknown_choices", {})
    for axis, expected in LAST.items():
        assert re.search(rf"^params\.yaml: {axis}: 'mine' is not one of auto, .*{expected}$", told[axis])


@pytest.mark.slow
def test_an_extended_networks_stages_freeze_as_the_strategy_says_and_the_new_module_trains(answers: Answers) -> None:
    found = answers["context"]
    trains = {(row["stage"], row["trains"]) for row in found["layers"] if row["parameters"]}
    still = [(stage, False) for stage in ("stem", "block1", "block2")]
    assert trains == {*still, *((stage, True) for stage in ("block3", "block4", "attention", "head"))}
    # A key without bias, a weight and a bias for each channel, behind each stage.
    added = sum(row["parameters"] for row in found["layers"] if row["stage"] == "attention")
    assert added == sum(3 * channels for channels in (24, 40, 112, 960))
    assert "network.attention_options" not in str(found["settings"].keys())


@pytest.mark.slow
def test_the_tables_list_the_new_names(answers: Answers) -> None:
    for axis, last in {"backbone": BACKBONES[-1], "attention": "context", "regularizer": "direction"}.items():
        assert re.search(rf"^\w+: 'mine' is not known; known: .*, {last}$", answers["tables"][axis])


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_of_the_guide_passes_the_tests_of_the_tables(passed: dict[str, int], backbone: str) -> None:
    assert passed[backbone] > 12


@pytest.mark.slow
def test_a_mechanism_of_the_guide_passes_the_tests_of_the_contract(passed: dict[str, int]) -> None:
    assert passed["context"] > 20


@pytest.mark.slow
def test_attention_in_the_blocks_of_resnext_needs_no_more_and_mobilenets_error_says_what_does(answers: Answers) -> None:
    resnext, mobilenet = (answers["residual_block"][backbone] for backbone in BACKBONES)
    assert sum(layer["trainable"] for layer in resnext["layers"]) > 0
    assert "this backbone has no residual blocks for 'se'; set its position to every_stage or last_stage" in mobilenet


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS_OF)
def test_options_are_asked_for_and_reach_the_part_once_they_have_a_class_and_a_sub_section(
    with_options: Answers, options: str
) -> None:
    axis, name, place = OPTIONS_OF[options]
    assert f"key 'papers.quick.{place}.{name}' is missing" in with_options["missing"][place]
    shown = {
        setting.removeprefix(f"{place}.{name}."): told["value"]
        for setting, told in with_options["settings"][f"{axis}={name}"].items()
        if setting.startswith(f"{place}.{name}.")
    }
    assert shown == flattened(ADDED[place][name])


def flattened(values: dict[str, Any]) -> dict[str, Any]:
    """As describe has them: the strength is the one for this data set."""
    return {key: value["default"] if isinstance(value, dict) else value for key, value in values.items()}


@pytest.mark.slow
def test_attentions_options_decide_where_it_goes(with_options: Answers) -> None:
    found = with_options["last_stage"]
    assert found["settings"]["network.attention_options.context.gate_init"]["value"] == "identity"
    assert [row["stage"] for row in found["layers"]].count("attention") == 1
    assert "is not one of paper, identity" in with_options["refused"]


@pytest.mark.slow
def test_a_short_training_with_both_ends_in_a_report(answers: Answers) -> None:
    record = answers["chain"]["record"]
    assert {name: record["recipe"]["network"][name] for name in CHOSEN} == CHOSEN
    assert record["flops"]["network"] > record["flops"]["without_attention"]
    assert "train_direction,train_head_penalty" in answers["chain"]["curves"]
    assert answers["chain"]["page"]
