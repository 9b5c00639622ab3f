"""Rules about the tree itself: what dvc.yaml and params.yaml say fits the code."""

import re
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from pipeline import params

ROOT = Path(__file__).parents[1]
DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, Any] = DEFINITION["stages"]
GRAPH = grimp.build_graph("pipeline", cache_dir=None)

# MLflow is a view of the metrics files: an edit of how runs are shown must not train anything again.
VIEW = "pipeline.tracking"


def file_of(module: str) -> Path:
    path = Path(*module.split("."))
    return path.with_suffix(".py") if (ROOT / path.with_suffix(".py")).exists() else path / "__init__.py"


def imported(stage: str) -> set[Path]:
    """The source files, of those that hold anything, that a stage needs."""
    main = f"pipeline.stages.{stage}"
    modules = {main, "pipeline"} | GRAPH.find_upstream_modules(main)
    if stage != "report":
        modules = {module for module in modules if not module.startswith(VIEW)}
    return {file_of(module) for module in modules if (ROOT / file_of(module)).stat().st_size}


def declared(stage: str) -> set[Path]:
    """The source files that dvc.yaml names for a stage, folders as what they hold."""
    named = [Path(dep) for dep in STAGES[stage]["deps"] if dep.startswith("pipeline/")]
    files = {f.relative_to(ROOT) for path in named for f in [ROOT / path, *(ROOT / path).rglob("*.py")] if f.is_file()}
    return {file for file in files if (ROOT / file).stat().st_size}


def test_there_is_one_module_a_stage_and_one_stage_a_module() -> None:
    shared = {"__init__", "files", "assembly", "gallery", "picturing", "regularizing", "weighing"}
    modules = {file.stem for file in (ROOT / "pipeline/stages").glob("*.py")} - shared
    assert modules == set(STAGES)


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_depends_on_exactly_the_source_files_that_it_imports(stage: str) -> None:
    assert declared(stage) == imported(stage)


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
