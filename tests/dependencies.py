"""The source files that each stage of dvc.yaml depends on, from the import graph; `make deps` writes them."""

import copy
import io
import re
from pathlib import Path
from typing import Any

import grimp
from ruamel.yaml import YAML

import pipeline

ROOT = Path(pipeline.__file__).parents[1]
FILE = ROOT / "dvc.yaml"
# A stage that imports a module of one of these depends on the whole folder: the modules load each other by name, too.
FOLDERS = (
    "pipeline/assembly",
    "pipeline/bank",
    "pipeline/config",
    "pipeline/core",
    "pipeline/datasets/collect",
    "pipeline/datasets/copies",
    "pipeline/datasets/decoding",
    "pipeline/datasets/download",
    "pipeline/datasets/prepared",
    "pipeline/datasets/synthetic",
    "pipeline/datasets/transforms",
    "pipeline/evaluation/compare",
    "pipeline/networks",
    "pipeline/pretrained",
    "pipeline/regularizers",
    "pipeline/reporting",
    "pipeline/tracking",
    "pipeline/training",
)
# One that needs all of these folders has them as one.
WHOLE = "pipeline/datasets"
# MLflow is a view of the metrics files: an edit of how runs are displayed must not train anything again.
VIEW = "pipeline.tracking"
# What the view does with bundles comes after the report, by commands.
AFTER = "pipeline.bundles"
# What a row of a table names as "module:attribute" is imported when it is chosen.
REFERENCE = re.compile(r'"(pipeline(?:\.\w+)+):\w+"')


def file_of(module: str) -> Path:
    """Return the file of a module, relative to the root."""
    path = Path(*module.split("."))
    return path.with_suffix(".py") if (ROOT / path.with_suffix(".py")).exists() else path / "__init__.py"


def _graph() -> grimp.ImportGraph:
    """Return what imports what, rows of tables included."""
    graph = grimp.build_graph("pipeline", cache_dir=None)
    for module in graph.modules:
        for named in REFERENCE.findall((ROOT / file_of(module)).read_text(encoding="utf-8")):
            graph.add_import(importer=module, imported=named)
    return graph


def _without(graph: grimp.ImportGraph, room: str) -> grimp.ImportGraph:
    """Return the same without the modules of a room, and so without what they alone import."""
    rest = copy.deepcopy(graph)
    for module in graph.modules:
        if module.startswith(room):
            rest.remove_module(module)
    return rest


GRAPH = _graph()
WITHOUT_VIEW = _without(GRAPH, VIEW)
WITH_VIEW = _without(GRAPH, AFTER)


def imported(stage: str) -> set[Path]:
    """Return the source files, of those that hold anything, that a stage imports."""
    main, graph = f"pipeline.stages.{stage}", WITH_VIEW if stage == "report" else WITHOUT_VIEW
    # Without the package's own module, on which no result depends: it has threads wait without spinning.
    modules = ({main} | graph.find_upstream_modules(main)) - {"pipeline"}
    return {file_of(module) for module in modules if (ROOT / file_of(module)).stat().st_size}


def sources(stage: str) -> list[str]:
    """Return a stage's source dependencies: folders of `FOLDERS` and single files, sorted."""
    needed = {_grain(file) for file in imported(stage)}
    parts = {folder for folder in FOLDERS if folder.startswith(f"{WHOLE}/")}
    return sorted(needed - parts | {WHOLE} if parts <= needed else needed)


def _grain(file: Path) -> str:
    name = file.as_posix()
    return next((folder for folder in FOLDERS if name.startswith(f"{folder}/")), name)


def written(text: str) -> str:
    """Return dvc.yaml with the source dependencies of every stage as they should be."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    yaml.preserve_quotes = True
    definition: dict[str, Any] = yaml.load(text)
    for name, stage in definition["stages"].items():
        others = [dep for dep in stage["deps"] if not dep.startswith("pipeline/")]
        stage["deps"][:] = others + sources(name)
    stream = io.StringIO()
    yaml.dump(definition, stream)
    return stream.getvalue()


if __name__ == "__main__":
    FILE.write_text(written(FILE.read_text(encoding="utf-8")), encoding="utf-8")
