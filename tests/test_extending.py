"""What docs/extending.md shows works as it stands: its blocks are put into a copy of the project, and that is run."""

import ast
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from math import exp
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import clones
import pytest
import yaml
from clones import PROJECT, Clone
from ruamel.yaml import YAML

# One long run of an extended copy, which CI has in its slow ring.
pytestmark = pytest.mark.slow

GUIDES = dict(
    re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", (PROJECT / "docs/extending.md").read_text(encoding="utf-8"), re.M | re.S)
)
PLACED = re.compile(
    r"(?:\b(?P<how>in|above)\s+`(?P<name>[\w.]+)`\s+of|\b(?P<end>end)\s+of|\bnew\s+file)\s+`(?P<path>[^`]+)`:\n\n"
    r"```(?:python|yaml)\n(?P<code>.*?)```",
    re.DOTALL | re.IGNORECASE,
)
BACKBONES = ["resnext50_32x4d", "mobilenet_v3_large"]
PARAMS = "params.yaml"
# How many choices a guide adds, where it is more than one.
CHOICES = {"A backbone": len(BACKBONES)}
# The last of what is known of each setting, once the guides' choices are there.
LAST = {
    "backbone": "mobilenet_v2, resnext50_32x4d, mobilenet_v3_large",
    "attention": "hierarchical, context",
    "regularizer": "spa_gca, direction",
    "defaults.train.optimizer": "sgd, rmsprop",
    "metric": "calibration_error, brier",
    "data": "digits, pets",
    "recipe": "animals, pets",
}
NEEDED = ("pipeline", "tests", PARAMS, "dvc.yaml", "pyproject.toml", "README.md")
Answers = dict[str, Any]
Shared = Callable[[str, Callable[[Path], None]], Path]


class Block(NamedTuple):
    """Code of a guide, and where the guide says that it goes.

    Attributes:
        guide: the heading.
        path: the file.
        how: `in` or `above` the table or section `name`, at the `end`, or `new`.
    """

    guide: str
    path: str
    how: str
    name: str
    code: str


BLOCKS = [
    Block(guide, m["path"], (m["how"] or m["end"] or "new").lower(), m["name"] or "", m["code"])
    for guide, text in GUIDES.items()
    for m in PLACED.finditer(text)
]
OURS = [block for block in BLOCKS if block.path.startswith("pipeline/")]
# What is put below a section of params.yaml, by that section.
SETTINGS = {block.name: yaml.safe_load(block.code) for block in BLOCKS if block.path == PARAMS}
OPTIONS = {
    f"{section}.{name}": options
    for section, choices in SETTINGS.items()
    if section.startswith("options.")
    for name, options in choices.items()
}


def put(root: Path, block: Block) -> None:
    """Do with a block what the guide says."""
    file = root / block.path
    if block.how == "new":
        assert not file.exists(), f"{block.path} is not new"
        file.write_text(block.code, encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    place = {"in": in_section if block.path == PARAMS else in_table, "above": above, "end": at_end}[block.how]
    file.write_text(place(text, block), encoding="utf-8")


def at_end(text: str, block: Block) -> str:
    return f"{text}\n\n{block.code}"


def above(text: str, block: Block) -> str:
    lines = text.splitlines(keepends=True)
    first = statement(text, block.name).lineno - 1
    return "".join([*lines[:first], f"{block.code}\n\n", *lines[first:]])


def in_table(text: str, block: Block) -> str:
    """Return the text with the code as the last rows of the table."""
    whole: ast.expr = statement(text, block.name).value  # type: ignore[attr-defined]
    assert whole.end_lineno
    assert whole.end_col_offset
    lines = text.splitlines(keepends=True)
    end = sum(map(len, lines[: whole.end_lineno - 1])) + whole.end_col_offset - 1
    return f"{text[:end].rstrip()}\n{block.code.rstrip()}\n{text[end:]}"


def in_section(text: str, block: Block) -> str:
    """Return params.yaml with what is in the block below one of its sections."""
    file = YAML()
    values = section = file.load(text)
    for name in block.name.split("."):
        section = section[name]
    section.update(file.load(block.code))
    stream = io.StringIO()
    file.dump(values, stream)
    return stream.getvalue()


def statement(text: str, name: str) -> ast.stmt:
    """Return the statement that assigns a table."""
    return next(
        node
        for node in ast.parse(text).body
        for target in ([node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", []))
        if getattr(target, "id", "") == name
    )


def extended(place: Path, blocks: Sequence[Block] = BLOCKS) -> Clone:
    """Return a copy of the project with these blocks in it."""
    (place / "project").mkdir()
    clones.copy_project(place / "project", *NEEDED)
    copy = Clone(place / "project", place, first=str(place / "project"))
    for block in blocks:
        put(copy.root, block)
    return copy


@pytest.fixture(scope="session")
def answers(shared: Shared) -> Answers:
    """What tests/extended.py learns in a copy with all of the guides' code, in one process: torch takes seconds."""

    def make(folder: Path) -> None:
        extended(folder).run(sys.executable, "tests/extended.py", str(folder / "answers.json"))

    found: Answers = json.loads((shared("extended", make) / "answers.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def passed(shared: Shared) -> dict[str, int]:
    """How many of the project's own tests of rows pass in a copy, by the new name that they are of."""
    names = [*BACKBONES, "context", "direction", "rmsprop"]

    def make(folder: Path) -> None:
        words = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "-m", "not slow and not real"]
        tables = f"({' or '.join(BACKBONES)}) and (test_build or test_freezing)"
        words += [f"--junitxml={folder}/told.xml", "-k", f"context or direction or rmsprop or ({tables})"]
        rooms = [f"tests/{room}" for room in ("networks", "regularizers", "training")]
        extended(folder).run(sys.executable, "-m", "pytest", *words, *rooms)

    folder = shared("tested", make)
    cases = [case for case in ElementTree.parse(folder / "told.xml").iter("testcase") if not len(case)]
    return {name: sum(name in case.attrib["name"] for case in cases) for name in names}


def test_every_block_of_a_guide_says_where_it_goes() -> None:
    assert len(GUIDES) == len(LAST)
    for guide, text in GUIDES.items():
        assert sum(block.guide == guide for block in BLOCKS) == text.count("```") / 2 > 0


@pytest.mark.parametrize("guide", GUIDES)
def test_a_choice_takes_its_row_with_its_code_and_at_most_its_options(guide: str) -> None:
    code = {block.path for block in OURS if block.guide == guide}
    settings = [block.name for block in BLOCKS if block.guide == guide and block.path == PARAMS]
    assert len(code) <= 1 + CHOICES.get(guide, 1)
    assert len(settings) <= 1
    assert code or settings == ["recipes"]


def test_code_of_the_guides_is_in_places_that_stages_depend_on() -> None:
    deps = {stage: {Path(dep) for dep in definition["deps"]} for stage, definition in clones.DEFINITION.items()}
    of = {block: {Path(block.path), *Path(block.path).parents} for block in OURS}
    reading = {block: {stage for stage in deps if deps[stage] & places} for block, places in of.items()}
    for block, stages in reading.items():
        expected = {"A score": "evaluate", "A data set": "collect"}.get(block.guide, "train")
        assert expected in stages, block.path
    # A score is had without another training.
    assert not any("train" in reading[block] for block in OURS if block.guide == "A score")


def test_the_guides_code_is_formatted_and_uses_no_name_that_its_files_have_not(tmp_path: Path) -> None:
    copy = extended(tmp_path)
    files = sorted({block.path for block in BLOCKS if block.path != PARAMS})
    copy.run("ruff", "check", "--no-cache", *files)
    copy.run("ruff", "format", "--no-cache", "--check", *files)


@pytest.mark.parametrize("setting", LAST)
def test_what_is_not_known_is_told_with_the_new_names(answers: Answers, setting: str) -> None:
    assert re.search(rf"{re.escape(setting)}: 'mine' is not .*{LAST[setting]}$", answers["unknown"][setting])


@pytest.mark.parametrize("key", OPTIONS)
def test_a_rows_options_are_asked_for_in_params_yaml_and_reach_the_recipe(answers: Answers, key: str) -> None:
    assert answers["missing"][key] == f"params.yaml: key {key!r} is missing; add it"
    found = {name: told for name, told in answers["options"][key].items() if name.startswith(f"{key}.")}
    assert {name: told["value"] for name, told in found.items()} == {
        f"{key}.{name}": value["default"] if isinstance(value, dict) else value for name, value in OPTIONS[key].items()
    }
    assert {told["from"] for told in found.values()} <= {f"{key}.{name}" for name in (*OPTIONS[key], "alpha.default")}


def test_options_without_a_row_are_refused(tmp_path: Path) -> None:
    from pipeline import config
    from pipeline.core.errors import InputError

    text = (PROJECT / PARAMS).read_text(encoding="utf-8")
    for block in BLOCKS:
        if block.path == PARAMS and block.name.startswith("options."):
            (name,) = yaml.safe_load(block.code)
            (tmp_path / PARAMS).write_text(in_section(text, block), encoding="utf-8")
            with pytest.raises(InputError, match=rf"unknown key '{block.name}.{name}'"):
                config.load(tmp_path / PARAMS)


def test_an_extended_networks_stages_freeze_as_the_strategy_says_and_the_new_module_trains(answers: Answers) -> None:
    found = answers["context"]
    trains = {(row["stage"], row["trains"]) for row in found["layers"] if row["parameters"]}
    still = [(stage, False) for stage in ("stem", "block1", "block2")]
    assert trains == {*still, *((stage, True) for stage in ("block3", "block4", "attention", "head"))}
    # A key without bias, a weight and a bias for each channel, behind each stage.
    added = sum(row["parameters"] for row in found["layers"] if row["stage"] == "attention")
    assert added == sum(3 * channels for channels in (24, 40, 112, 960))


def test_attention_in_the_blocks_of_resnext_needs_no_more_and_mobilenets_error_says_what_does(answers: Answers) -> None:
    resnext, mobilenet = (answers["residual_block"][backbone] for backbone in BACKBONES)
    assert sum(layer["trainable"] for layer in resnext["layers"]) > 0
    assert "no residual blocks for 'se'; set its position, options.attention.se.position, to every_stage" in mobilenet


def test_attentions_options_decide_where_it_goes(answers: Answers) -> None:
    found = answers["last_stage"]
    assert found["settings"]["options.attention.context.gate_init"]["value"] == "identity"
    assert [row["stage"] for row in found["layers"]].count("attention") == 1
    assert "'half' is not one of paper, identity" in answers["refused"]


def test_a_recipe_is_described_with_its_values_its_own_options_and_its_places_in_the_paper(answers: Answers) -> None:
    settings = answers["recipe"]["settings"]
    for name in ("network.backbone", "network.freeze", "train.optimizer", "train.lr", "regularizer.method"):
        section, key = name.split(".")
        assert settings[name]["value"] == str_or_number(SETTINGS["recipes"]["pets"][section][key])
        assert settings[name]["from"] == f"recipes.pets.{name}"
    assert (settings["network.freeze"]["note"], settings["train.lr"]["note"]) == ("section 3", "Table 2")
    own = settings["options.attention.context.position"]
    assert (own["value"], own["from"]) == ("last_stage", "recipes.pets.options.attention.context.position")
    assert settings["options.attention.context.gate_init"]["from"] == "options.attention.context.gate_init"
    # What it does not state is the defaults'; what differs with another set is that set's.
    assert settings["train.schedule"]["from"] == "defaults.train.schedule"
    other = answers["per_data"]["settings"]["network.freeze"]
    assert (other["value"], other["from"]) == ("3c", "recipes.pets.per_data.spiders.network.freeze")
    assert answers["recipe"]["classes"] == 37


def str_or_number(value: Any) -> Any:
    return value if isinstance(value, float) else str(value)


def test_a_short_training_with_all_of_them_ends_in_a_report(answers: Answers) -> None:
    chain = answers["chain"]
    recipe = chain["record"]["recipe"]
    assert recipe["network"]["backbone"] == "mobilenet_v3_large"
    assert recipe["options"]["attention"] == {"context": {"position": "last_stage", "gate_init": "paper"}}
    assert recipe["options"]["optimizer"] == {"rmsprop": OPTIONS["options.optimizer.rmsprop"]}
    assert chain["record"]["flops"]["network"] > chain["record"]["flops"]["without_attention"]
    assert "train_direction,train_head_penalty" in chain["curves"]
    assert chain["optimizer"] == "_RMSprop"
    assert "mobilenet_v3_large with context attention, from scratch, regularizer direction" in chain["page"]
    assert "rmsprop, rate 0.001" in chain["page"]


def test_a_set_comes_from_the_users_copy_with_its_classes_and_parts(answers: Answers) -> None:
    chain = answers["chain"]
    assert len(chain["dataset"]["classes"]) == 37
    assert chain["dataset"]["title"] == "Oxford-IIIT Pets"
    assert chain["parts"] == {"train": 74, "test": 37}


def test_a_score_is_that_of_its_equation_and_in_the_summary_and_on_the_page(answers: Answers) -> None:
    chain = answers["chain"]
    squares = []
    for actual, logits in zip(chain["actual"], chain["logits"], strict=True):
        total = sum(exp(value) for value in logits)
        squares.append(sum((exp(value) / total - (place == actual)) ** 2 for place, value in enumerate(logits)))
    assert chain["scores"]["brier"] == pytest.approx(sum(squares) / len(squares), rel=1e-6)
    assert chain["summary"]["brier"]["mean"] == chain["scores"]["brier"]
    assert "Brier score" in chain["page"]


@pytest.mark.parametrize(
    ("name", "least"), [*((name, 13) for name in BACKBONES), ("context", 21), ("direction", 8), ("rmsprop", 1)]
)
def test_a_row_of_a_guide_passes_the_tests_of_every_row(passed: dict[str, int], name: str, least: int) -> None:
    assert passed[name] >= least
