"""Rules about the tree itself: what dvc.yaml and params.yaml say fits the code."""

import re
from pathlib import Path
from typing import Any

import dependencies
import pytest
import yaml

from pipeline import params

ROOT = Path(__file__).parents[1]
DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, Any] = DEFINITION["stages"]


def test_there_is_one_module_a_stage_and_one_stage_a_module() -> None:
    modules = {file.stem for file in (ROOT / "pipeline/stages").glob("*.py")} - {"__init__"}
    assert modules == set(STAGES)


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_depends_on_exactly_the_source_that_it_imports(stage: str) -> None:
    declared = [dep for dep in STAGES[stage]["deps"] if dep.startswith("pipeline/")]
    assert declared == dependencies.sources(stage)


def test_make_deps_changes_nothing_else_of_dvc_yaml() -> None:
    text = dependencies.FILE.read_text(encoding="utf-8")
    assert dependencies.written(text) == text


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stages_command_runs_its_module(stage: str) -> None:
    repeat = " ${item.repeat}" if "matrix" in STAGES[stage] else ""
    assert STAGES[stage]["cmd"] == f"python -m pipeline.stages.{stage}{repeat}"


def test_every_tracked_parameter_exists_in_every_paper() -> None:
    values = params.load(ROOT / "params.yaml").model_dump(mode="json")
    tracked = {key for stage in STAGES.values() for key in stage.get("params", [])}
    assert tracked
    for paper in values["papers"]:
        for key in tracked:
            place: Any = values
            for part in key.replace("${paper}", paper).split("."):
                assert part in place, key
                place = place[part]


def test_no_stage_that_comes_before_training_tracks_what_only_training_reads() -> None:
    before = {"validate", "collect", "split", "preprocess", "source"}
    for stage in before:
        for key in STAGES[stage].get("params", []):
            assert not re.search(r"freeze|attention|regularizer|\.train|augmentation", key), (stage, key)


def test_only_evaluate_reads_the_test_part_and_training_sees_the_others() -> None:
    readers = {
        file.stem
        for file in (ROOT / "pipeline").rglob("*.py")
        if re.search(r"""part == "test"|\["test"\]""", file.read_text(encoding="utf-8"))
    }
    assert readers == {"evaluate"}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "params.yaml", "dvc.yaml", "README.md"])
def test_no_path_of_a_machine_and_no_registry_is_named(name: str) -> None:
    file = ROOT / name
    assert not re.search(r"/(root|home|tmp|work)/|pypi|https?://[^ ]*simple", file.read_text(encoding="utf-8"))


def test_importing_the_package_loads_no_heavy_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, pipeline.stages.validate, pipeline.stages.collect; print({'torch', 'mlflow'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"
