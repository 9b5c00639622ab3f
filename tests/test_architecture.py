"""Rules about the tree itself: what dvc.yaml and params.yaml say fits the code."""

import ast
import configparser
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dependencies
import pytest
import tiny
import yaml

from pipeline import config
from pipeline.commands import COMMANDS, HIDDEN
from pipeline.core import paths
from pipeline.core.files import flat
from pipeline.datasets.collect import sets
from pipeline.stages import validate

ROOT = Path(__file__).parents[1]
DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, Any] = DEFINITION["stages"]
BEFORE_TRAINING = ("validate", "collect", "copies", "split", "preprocess", "source")
# What prepares, runs, repairs and compares experiments around the stages.
AROUND_RUNS = ("commands", "experiments", "preview", "recovery", "running", "studies")
# What a result does not follow from: how params.yaml is read, how results are shown, compared and commanded.
NO_RESULT = ("config", "reporting", "tracking", *AROUND_RUNS)
# The places that a stage reads from params.yaml, since no resolved recipe holds them.
PLACES = {"collect": ("folder", "archive"), "source": ("weights_file",)}
CODE = {file: file.read_text(encoding="utf-8") for file in sorted((ROOT / "pipeline").rglob("*.py"))}


def tracked(stage: str) -> list[str]:
    """Return the keys of the resolved recipe that a stage tracks; dvc.yaml names keys of no other file."""
    files = STAGES[stage].get("params", [])
    assert all(isinstance(one, dict) and list(one) == [paths.RECIPE.as_posix()] for one in files), stage
    return [key for one in files for keys in one.values() for key in keys]


def written(monkeypatch: pytest.MonkeyPatch, folder: Path, values: dict[str, Any]) -> bytes:
    """Return what the stage `validate` writes for these values of params.yaml."""
    monkeypatch.chdir(folder)
    resolved = config.resolve(config.check(values))
    validate.write(resolved.recipe.model_copy(update={"naming": config.naming(resolved)}))
    return paths.RECIPE.read_bytes()


def test_there_is_one_module_a_stage_and_one_stage_a_module() -> None:
    modules = {file.stem for file in (ROOT / "pipeline/stages").glob("*.py")} - {"__init__"}
    # That of bundles is in a DVC file of its own, which its command writes.
    assert modules == {*STAGES, "bundle"}


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_depends_on_exactly_the_source_that_it_imports(stage: str) -> None:
    declared = [dep for dep in STAGES[stage]["deps"] if dep.startswith("pipeline/")]
    assert declared == dependencies.sources(stage)


def test_make_deps_changes_nothing_else_of_dvc_yaml() -> None:
    text = dependencies.FILE.read_text(encoding="utf-8")
    assert dependencies.written(text) == text


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stages_command_runs_its_module(stage: str) -> None:
    repeat = " ${item}" if "matrix" in STAGES[stage] else ""
    assert STAGES[stage]["cmd"] == f"python -m pipeline.stages.{stage}{repeat}"


def test_only_places_and_repeats_are_put_into_dvc_yaml_from_params_yaml() -> None:
    named = set(re.findall(r"\$\{([^}]*)\}", (ROOT / "dvc.yaml").read_text(encoding="utf-8")))
    assert named == {"repeats", "item", "item.repeat", *(place for places in PLACES.values() for place in places)}


def test_a_place_is_a_dependency_of_the_stage_that_reads_it() -> None:
    read = {file.stem: set(re.findall(r"places\.own\(([^)]*)\)", text)) for file, text in CODE.items()}
    assert {stem for stem, keys in read.items() if keys} == set(PLACES)
    assert (read["collect"], read["source"]) == ({"row.given_by"}, {'"weights_file"'})
    assert {row.given_by for row in sets.SETS.values()} == {None, *PLACES["collect"]}
    for stage, places in PLACES.items():
        assert {f"${{{place}}}" for place in places} <= set(STAGES[stage]["deps"])


@pytest.mark.parametrize("name", sorted(tiny.shipped()["recipes"]))
def test_every_tracked_key_is_in_the_resolved_recipe_of_every_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = yaml.safe_load(written(monkeypatch, tmp_path, tiny.recipe(name)))
    for stage in STAGES:
        for key in tracked(stage):
            place: Any = recipe
            for part in key.split("."):
                assert part in place, (stage, key)
                place = place[part]


def test_some_stage_tracks_every_value_of_the_recipe_but_checkpoints_names_and_what_is_shown() -> None:
    keys = {key for stage in STAGES for key in tracked(stage)}
    values = {name for name, _ in flat(tiny.experiment().model_dump(mode="json"))}
    untracked = {name for name in values if not any(f"{name}.".startswith(f"{key}.") for key in keys)}
    assert untracked == {"checkpoint_every", "mlflow.system_metrics", "naming.data", "naming.recipe_in_commit"}


def test_no_stage_that_comes_before_training_tracks_what_only_training_reads() -> None:
    for stage in BEFORE_TRAINING:
        for key in tracked(stage):
            only_training = r"freeze|attention|head|regularizer|^train|augmentation|crop|input_size|optimizer|schedule"
            assert not re.search(only_training, key), (stage, key)
            # Nor a whole section, which holds some of that.
            assert key not in ("data", "network", "train", "regularizer", "options"), (stage, key)


def test_the_resolved_recipe_in_git_is_that_of_params_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (ROOT / paths.RECIPE).read_bytes() == written(monkeypatch, tmp_path, tiny.shipped())


def test_a_resolved_recipe_is_in_git_and_stays_where_settings_are_refused() -> None:
    assert STAGES["validate"]["outs"] == [{paths.RECIPE.as_posix(): {"cache": False, "persist": True}}]
    assert "params.yaml" in STAGES["validate"]["deps"]
    assert not [stage for stage in STAGES if stage != "validate" and "params.yaml" in STAGES[stage]["deps"]]


def room(file: Path) -> str:
    return file.relative_to(ROOT / "pipeline").parts[0]


def mentions(text: str) -> Iterator[str]:
    """Yield what of code leads to params.yaml: its name, as a constant or as text by itself, and config."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute | ast.Name) and getattr(node, "attr", getattr(node, "id", "")) == "PARAMS":
            yield "PARAMS"
        if isinstance(node, ast.Constant) and node.value == "params.yaml":
            yield "params.yaml"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline"):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_only_config_validate_and_what_is_around_the_stages_read_params_yaml() -> None:
    of_params = re.compile(r"PARAMS|params\.yaml|pipeline\.config(\.|$)")
    readers = {file for file, text in CODE.items() if any(of_params.match(one) for one in mentions(text))}
    # Where its name is defined.
    others = {file for file in readers if room(file) not in ("config", *AROUND_RUNS)}
    assert others == {ROOT / f"pipeline/{name}.py" for name in ("core/paths", "core/places", "stages/validate")}
    assert {room(file) for file in readers} >= {"config", "commands"}


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"validate", "report"}))
def test_what_makes_a_result_depends_on_nothing_that_only_words_or_shows_it(stage: str) -> None:
    folders = [f"pipeline/{name}" for name in NO_RESULT]
    assert all((ROOT / folder).is_dir() for folder in folders)
    assert not [dep for dep in STAGES[stage]["deps"] if dep.startswith(tuple(folders))]


def test_only_validate_depends_on_how_params_yaml_is_read() -> None:
    assert {stage for stage in STAGES if "pipeline/config" in STAGES[stage]["deps"]} == {"validate"}


def test_every_command_is_in_the_contract_by_which_none_imports_another() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / ".importlinter", encoding="utf-8")
    contract = settings["importlinter:contract:commands-apart"]
    assert contract["type"] == "independence"
    modules = {name.rpartition(".")[2] for name in contract["modules"].split()}
    assert modules == {HIDDEN.get(name, name) for name in (*COMMANDS, *HIDDEN)}


NAMING_NO_MACHINE = [
    "requirements.lock",
    "requirements-dev.lock",
    "deploy/requirements.lock",
    "deploy/compose.yaml",
    "params.yaml",
    "data/recipe.yaml",
    "dvc.yaml",
    "README.md",
]


@pytest.mark.parametrize("name", NAMING_NO_MACHINE)
def test_no_path_of_a_machine_and_no_registry_is_named(name: str) -> None:
    file = ROOT / name
    assert not re.search(r"/(root|home|tmp|work)/|pypi|https?://[^ ]*simple", file.read_text(encoding="utf-8"))


# What takes a moment; in one process, as each would take half a second to begin.
LIGHT = (
    "import pipeline.stages.validate, pipeline.stages.collect",
    *(
        f"orbweaver({words}, standalone_mode=False)"
        for words in (["--help"], ["describe", "--choices"], *([name, "--help"] for name in (*COMMANDS, *HIDDEN)))
    ),
)


def test_what_takes_a_moment_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'mlflow', 'matplotlib', 'jinja2'} & sys.modules.keys()"
    lines = [line for one in LIGHT for line in (one, f"print({one!r}, {heavy}, file=sys.stderr)")]
    code = "\n".join(["import sys", "from pipeline.commands import orbweaver", *lines])
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stderr.splitlines() == [f"{one} set()" for one in LIGHT]


def test_every_file_that_is_no_python_goes_into_an_installed_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["pipeline"]
    listed = subprocess.run(("git", "ls-files", "pipeline"), cwd=ROOT, capture_output=True, text=True, check=True)
    others = [Path(name).relative_to("pipeline") for name in listed.stdout.split() if not name.endswith(".py")]
    assert others
    assert [str(one) for one in others if not any(one.match(pattern) for pattern in patterns)] == []
