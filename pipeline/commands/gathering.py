"""A study's results from DVC's experiments, and its page as files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline import tracking
from pipeline.commands import revisions
from pipeline.commands.cells import Cell
from pipeline.core.errors import InputError
from pipeline.evaluation.compare import repeats
from pipeline.studies import page
from pipeline.studies.definition import Study
from pipeline.studies.results import Result

NOT_RUN = "not run yet, or not finished"


def results(study: Study, cells: Sequence[Cell], finished: Mapping[str, str]) -> list[Result]:
    """Return each cell with its repeats, as far as they are there."""
    reading = tqdm(cells, desc="reading", unit="cell", leave=False, disable=None)
    return [_result(study, cell, finished.get(cell.key)) for cell in reading]


def _result(study: Study, cell: Cell, revision: str | None) -> Result:
    printed = study.printed.get(cell.name)
    if revision is None:
        return Result(cell.name, [], NOT_RUN, printed)
    files = revisions.Revision(Path.cwd(), revision)
    try:
        return Result(cell.name, [repeats.read(files, number) for number in cell.resolved.recipe.repeats], "", printed)
    except (FileNotFoundError, tracking.IncompleteError) as error:
        return Result(cell.name, [], f"{error}; bring DVC's cache back with dvc pull", printed)
    except InputError as error:
        return Result(cell.name, [], str(error), printed)


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """The page, its Markdown and its curves as files."""
    (folder / "figures").mkdir(parents=True)
    for one in content["groups"]:
        for name, picture in one.charts.items():
            (folder / "figures" / f"{one.group.name}-{name}.svg").write_bytes(picture.light)
    (folder / "summary.md").write_text(page.as_markdown(content), encoding="utf-8")
    (folder / "index.html").write_text(page.page(content), encoding="utf-8")
