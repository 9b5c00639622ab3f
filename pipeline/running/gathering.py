"""A study's results from DVC's experiments, and its page as files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline import tracking
from pipeline.core import shell
from pipeline.core.errors import InputError
from pipeline.core.garbage_collection import frozen
from pipeline.evaluation.compare import repeats
from pipeline.experiments import revisions
from pipeline.reporting import probes
from pipeline.running.cells import Cell, key_of
from pipeline.running.executors.logs import experiment, was_cached
from pipeline.studies import page
from pipeline.studies.definition import Study
from pipeline.studies.results import Result

NOT_RUN = "not run yet, or not finished"


def results(study: Study, cells: Sequence[Cell], finished: Mapping[str, str], *, logs: Path) -> list[Result]:
    """Return each cell with its repeats, as far as they are there.

    Args:
        study: the study.
        cells: its cells.
        finished: the revision of each experiment, by the cell's key.
        logs: the folder of what the cells printed when they ran.
    """
    reading = tqdm(cells, desc="reading", unit="cell", leave=False, disable=None)
    # A run leaves out what has an experiment, whole or not.
    ways_out = {
        revision: f"`dvc exp remove {shell.join([name])}`, and the next run makes it again"
        for name, revision in revisions.experiments(Path.cwd())
    }
    # Files as nested objects, many times what is kept of them.
    with frozen():
        read = [_result(study, cell, finished.get(cell.key, ""), ways_out) for cell in reading]
    return [
        one._replace(cached=bool(one.repeats) and _was_cached(logs / f"{cell.name}.log", cell.key))
        for cell, one in zip(cells, read, strict=True)
    ]


def _was_cached(log: Path, key: str) -> bool:
    """Return whether a cell of a key trained nothing; a log of the cell with other settings says nothing of it."""
    return key_of(experiment(log)) == key and was_cached(log)


def _result(study: Study, cell: Cell, revision: str, ways_out: Mapping[str, str]) -> Result:
    printed = study.printed.get(cell.name)
    if not revision:
        return Result(cell.name, [], NOT_RUN, printed)
    files, numbers = revisions.Revision(Path.cwd(), revision, ways_out.get(revision, "")), cell.resolved.recipe.repeats
    try:
        with tracking.complete(files.again):
            read = [repeats.read(files, number) for number in numbers]
            return Result(cell.name, read, "", printed, probes=probes.read(files, numbers))
    except InputError as error:
        return Result(cell.name, [], str(error), printed)


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the page, its Markdown and its charts as files."""
    (folder / "figures").mkdir(parents=True)
    for one in content["groups"]:
        # A folder of photographs may be named with any sign.
        images = re.sub(r"[^\w.-]+", "_", one.group.name)
        for name, picture in ({"answer": one.answer} | one.charts).items():
            (folder / "figures" / f"{images}-{name}.svg").write_bytes(picture.light)
    (folder / "summary.md").write_text(page.as_markdown(content), encoding="utf-8")
    (folder / "index.html").write_text(page.page(content), encoding="utf-8")
