"""What docs/extending.md shows works as it stands: its blocks are put into a copy of the project, and that is run."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

PROJECT = Path(__file__).parents[1]
GUIDE = (PROJECT / "docs/extending.md").read_text(encoding="utf-8")

PLACED = re.compile(
    r"(?:in\s+`(?P<name>\w+)`\s+of|(?P<imports>imports)\s+of|new\s+file)\s+`(?P<path>[^`]+)`:\n\n"
    r"```python\n(?P<code>.*?)```",
    re.DOTALL | re.IGNORECASE,
)
BACKBONES = ["resnext50_32x4d", "mobilenet_v3_large"]
SECTIONS = re.compile(r"In `(?P<key>\w+)` of each paper in\s+`params.yaml`:\n\n```yaml\n(?P<section>.*?)```", re.DOTALL)


class Block(NamedTuple):
    """Code of the guide, and where it says that it goes."""

    path: str
    name: str
    is_import: bool
    code: str


BLOCKS = [Block(m["path"], m["name"] or "", bool(m["imports"]), m["code"]) for m in PLACED.finditer(GUIDE)]
OPTION_CLASSES = {block.name: block for block in BLOCKS if block.name in ("AttentionOptions", "RegularizerOptions")}
OPTIONS_OF = {
    "AttentionOptions": ("attention", "context", "network.attention_options"),
    "RegularizerOptions": ("regularizer", "direction", "regularizer.method_options"),
}
WITHOUT_OPTIONS = [block for block in BLOCKS if block.name not in OPTION_CLASSES]


def put(root: Path, block: Block) -> None:
    """Do with a block what the guide says."""
    file = root / block.path
    if not block.name and not block.is_import:
        assert not file.exists(), f"{block.path} is not new"
        file.write_text(block.code, encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    file.write_text(imported(text, block.code) if block.is_import else named(text, block), encoding="utf-8")


def imported(text: str, code: str) -> str:
    return text.replace("\nfrom pipeline.", f"\n{code}from pipeline.", 1)


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


class Copy:
    """A copy of the project, and the commands that are given in it."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        for name in listed():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, root / name)
        kept = {
            name: v for name, v in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "GIT_", "PYTEST_"))
        }
        self.environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # An editable installation leads to the project itself; this goes first.
            "PYTHONPATH": str(root),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(home),
        }

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command and give what it printed; fails unless it ends with `code`."""
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(words, cwd=self.root, env=self.environment, check=False, timeout=1500, **streams)
        assert done.returncode == code, done.stdout
        return str(done.stdout)

    def describe(self, *overrides: str) -> dict[str, Any]:
        """What `orbweaver describe` says of these overrides."""
        words = [word for override in overrides for word in ("-S", override)]
        told: dict[str, Any] = json.loads(self.run("orbweaver", "describe", "--json", *words))
        return told

    def params(self, **changes: Any) -> None:
        """Change keys at the top of params.yaml."""
        file = self.root / "params.yaml"
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump(values | changes, sort_keys=False), encoding="utf-8")


def listed() -> list[str]:
    """What git would commit."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name and name != "dvc.lock" and (PROJECT / name).is_file()]


def make_copy(place: Path, blocks: list[Block]) -> Copy:
    (place / "project").mkdir()
    (place / "site").mkdir()
    copy = Copy(place / "project", place / "site")
    for block in blocks:
        put(copy.root, block)
    return copy


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy with both backbones, the mechanism and the regularizer of the guide; to be read, not changed."""
    return make_copy(tmp_path_factory.mktemp("extended"), WITHOUT_OPTIONS)


@pytest.fixture
def own(tmp_path: Path) -> Copy:
    """The same, to be changed."""
    return make_copy(tmp_path, WITHOUT_OPTIONS)


def test_every_block_of_the_guide_says_where_it_goes() -> None:
    assert BLOCKS
    assert len(BLOCKS) == GUIDE.count("```python")
    assert OPTION_CLASSES.keys() == OPTIONS_OF.keys()
    assert len(SECTIONS.findall(GUIDE)) == GUIDE.count("```yaml") == len(OPTIONS_OF)


@pytest.mark.slow
def test_an_extended_networks_stages_freeze_as_the_strategy_says_and_the_new_module_trains(extended: Copy) -> None:
    found = extended.describe("backbone=mobilenet_v3_large", "attention=context", "freeze=3b")
    trains = {(row["stage"], row["trains"]) for row in found["layers"] if row["parameters"]}
    still = [(stage, False) for stage in ("stem", "block1", "block2")]
    assert trains == {*still, *((stage, True) for stage in ("block3", "block4", "attention", "head"))}
    # A key without bias, a weight and a bias for each channel, behind each stage.
    added = sum(row["parameters"] for row in found["layers"] if row["stage"] == "attention")
    assert added == sum(3 * channels for channels in (24, 40, 112, 960))
    assert "network.attention_options" not in str(found["settings"].keys())


def test_what_is_not_known_is_told_with_the_new_names(own: Copy) -> None:
    last = {
        "backbone": "mobilenet_v2, resnext50_32x4d, mobilenet_v3_large",
        "attention": "context",
        "regularizer": "direction",
    }
    for axis, expected in last.items():
        own.params(**dict.fromkeys(last, "auto"))
        own.params(**{axis: "mine"})
        told = own.run(sys.executable, "-m", "pipeline.stages.validate", code=1)
        assert re.search(rf"^validate: error: params\.yaml: {axis}: 'mine' is not one of auto, .*{expected}$", told)


@pytest.mark.slow
def test_the_tables_list_the_new_names(extended: Copy) -> None:
    asked = (
        "from pipeline.networks import backbones as b; from pipeline.networks.attention import table as t; "
        "from pipeline.regularizers import table as r; "
    )
    calls = {
        "b.backbone('mine')": BACKBONES[-1],
        "t.mechanism('mine')": "context",
        "r.method('mine')": "direction",
    }
    for call, expected in calls.items():
        told = extended.run(sys.executable, "-c", asked + call, code=1)
        assert re.search(rf"InputError: \w+: 'mine' is not known; known: .*, {expected}$", told.strip())


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_of_the_guide_passes_the_tests_of_the_tables(extended: Copy, backbone: str) -> None:
    tests = ["tests/networks/test_build.py", "tests/networks/test_freezing.py"]
    assert ran(extended, *tests, "-k", backbone) > 12


@pytest.mark.slow
def test_a_mechanism_of_the_guide_passes_the_tests_of_the_contract(extended: Copy) -> None:
    assert ran(extended, "tests/networks", "-k", "context") > 20


def ran(copy: Copy, *words: str) -> int:
    """How many tests passed in the copy; fails where one does not."""
    told = copy.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words)
    return int(re.findall(r"(\d+) passed", told)[-1])


@pytest.mark.slow
def test_attention_in_the_blocks_of_resnext_needs_no_more_and_mobilenets_error_says_what_does(extended: Copy) -> None:
    found = extended.describe("backbone=resnext50_32x4d", "attention=se", in_blocks("se"))
    assert sum(layer["trainable"] for layer in found["layers"]) > 0
    words = ["-S", "backbone=mobilenet_v3_large", "-S", "attention=se", "-S", in_blocks("se")]
    told = extended.run("orbweaver", "describe", *words, code=1)
    assert "this backbone has no residual blocks for 'se'; give it place after_stages or tail" in told


def in_blocks(attention: str) -> str:
    return f"papers.quick.network.attention_options.{attention}.place=in_blocks"


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS_OF)
def test_options_are_asked_for_and_reach_the_part_once_they_have_a_class_and_a_sub_section(
    own: Copy, options: str
) -> None:
    axis, name, place = OPTIONS_OF[options]
    section, _, key = place.partition(".")
    put(own.root, OPTION_CLASSES[options])
    told = own.run("orbweaver", "describe", code=1)
    assert f"key 'papers.quick.{place}.{name}' is missing" in told
    papers = yaml.safe_load((own.root / "params.yaml").read_text(encoding="utf-8"))["papers"]
    added = yaml.safe_load(dict(SECTIONS.findall(GUIDE))[key])
    for paper in papers.values():
        paper[section][key] |= added
    own.params(papers=papers)
    found = own.describe(f"{axis}={name}")
    shown = {
        setting.removeprefix(f"{place}.{name}."): told["value"]
        for setting, told in found["settings"].items()
        if setting.startswith(f"{place}.{name}.")
    }
    assert shown == flattened(added[name])


def flattened(values: dict[str, Any]) -> dict[str, Any]:
    """As describe has them: the strength is the one for this data set."""
    return {key: value["default"] if isinstance(value, dict) else value for key, value in values.items()}


@pytest.mark.slow
def test_attentions_options_decide_where_it_goes(own: Copy) -> None:
    put(own.root, OPTION_CLASSES["AttentionOptions"])
    papers = yaml.safe_load((own.root / "params.yaml").read_text(encoding="utf-8"))["papers"]
    for paper in papers.values():
        paper["network"]["attention_options"] |= yaml.safe_load(dict(SECTIONS.findall(GUIDE))["attention_options"])
    own.params(papers=papers)
    key = "papers.quick.network.attention_options.context"
    found = own.describe("attention=context", f"{key}.place=tail", f"{key}.gate_init=identity")
    assert found["settings"]["network.attention_options.context.gate_init"]["value"] == "identity"
    assert [row["stage"] for row in found["layers"]].count("attention") == 1
    words = ["-S", "attention=context", "-S", f"{key}.gate_init=half"]
    assert "is not one of paper, identity" in own.run("orbweaver", "describe", *words, code=1)


@pytest.mark.slow
def test_a_short_training_with_both_ends_in_a_report(own: Copy) -> None:
    values = yaml.safe_load((own.root / "params.yaml").read_text(encoding="utf-8"))
    values["papers"]["quick"]["train"]["budget"]["amount"] = 1
    chosen = {"backbone": "mobilenet_v3_large", "attention": "context", "weights": "none", "freeze": "2"}
    values["papers"]["quick"]["regularizer"]["method"] = "direction"
    drawn = {"images_per_class": 6, "size": 64, "seed": 0}
    own.params(**chosen, repeats=[1], device="cpu", threads=1, synthetic=drawn, papers=values["papers"])
    own.run("git", "init", "--quiet")
    own.run("dvc", "repro")
    record = json.loads((own.root / "metrics/train/1/record.json").read_text(encoding="utf-8"))
    assert {name: record["recipe"]["network"][name] for name in chosen} == chosen
    assert record["flops"]["network"] > record["flops"]["without_attention"]
    history = (own.root / "metrics/train/1/history.csv").read_text(encoding="utf-8")
    assert "train_direction,train_head_penalty" in history.partition("\n")[0]
    assert (own.root / "metrics/report/index.html").is_file()
