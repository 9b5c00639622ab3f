"""A study's results from DVC's experiments, and its page as files."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tqdm import tqdm

from pipeline import tracking
from pipeline.core import lock_texts, paths, shell
from pipeline.core.errors import InputError
from pipeline.core.garbage_collection import frozen
from pipeline.evaluation.compare import repeats
from pipeline.experiments import revisions
from pipeline.reporting import probes
from pipeline.running.cells import Cell, key_of
from pipeline.running.executors.contract import State
from pipeline.running.executors.logs import experiment, was_cached
from pipeline.studies.definition import Study
from pipeline.studies.results import Result

NOT_RUN = "not run yet, or not finished"


def results(
    study: Study,
    cells: Sequence[Cell],
    finished: Mapping[str, str],
    *,
    logs: Path,
    states: Mapping[str, State] = MappingProxyType({}),
) -> list[Result]:
    """Return each cell with its repeats, as far as they are there.

    Args:
        study: the study.
        cells: its cells.
        finished: the revision of each experiment, by the cell's key.
        logs: the folder of what the cells printed when they ran.
        states: of cells that wait, run or failed, by their names.
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
        one._replace(
            cached=bool(one.repeats) and _was_cached(logs / f"{cell.name}.log", cell.key),
            missing=_words(states[cell.name]) if cell.name in states and one.missing == NOT_RUN else one.missing,
        )
        for cell, one in zip(cells, read, strict=True)
    ]


def _words(state: State) -> str:
    """Return what a cell without a result does, or why it failed; places in the project from its root."""
    reason = state.reason.replace(f"{Path.cwd()}/", "")
    return f"{state.phase}: {reason}" if reason else state.phase


def _was_cached(log: Path, key: str) -> bool:
    """Return whether a cell of a key trained nothing; a log of the cell with other settings says nothing of it."""
    return key_of(experiment(log)) == key and was_cached(log)


def _result(study: Study, cell: Cell, revision: str, ways_out: Mapping[str, str]) -> Result:
    same = {name: study.printed[name] for name in cell.same if name in study.printed}
    result = Result(cell.name, [], NOT_RUN, study.printed.get(cell.name), same=same)
    if not revision:
        return result
    files, numbers = revisions.Revision(Path.cwd(), revision, ways_out.get(revision, "")), cell.resolved.recipe.repeats
    try:
        with tracking.complete(files.again):
            read = [repeats.read(files, number) for number in numbers]
            probed, images = probes.read(files, numbers), _images(files)
            return result._replace(repeats=read, missing="", probes=probed, images=images)
    except InputError as error:
        return result._replace(missing=str(error))


def _images(files: tracking.Files) -> str:
    """Return DVC's hash of the manifest, of the hash and the label of each photograph; empty where there is none.

    It is in dvc.lock, which git has: an experiment's images may be in no cache.
    """
    read = lock_texts.stages(files.read(paths.LOCK)).get("copies", {}).get("deps", ())
    return {dep.get("path"): str(dep.get("md5", "")) for dep in read}.get(paths.MANIFEST.as_posix(), "")


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the page, its Markdown and its charts as files."""
    # Here, since an advice gathers its trials without a page, and its `--help` waits for no drawing library.
    from pipeline.studies import page

    (folder / "figures").mkdir(parents=True)
    images_of = _file_names(one.group.name for one in content["groups"])
    for one, images in zip(content["groups"], images_of, strict=True):
        for name, picture in ({"answer": one.answer} | one.charts).items():
            (folder / "figures" / f"{images}-{name}.svg").write_bytes(picture.light)
    (folder / "summary.md").write_text(page.as_markdown(content), encoding="utf-8")
    (folder / "index.html").write_text(page.page(content), encoding="utf-8")


def _file_names(groups: Iterable[str]) -> Iterator[str]:
    """Yield a name for each group's files; of several of one name the later ones have a number.

    >>> list(_file_names(["my photos", "spiders", "my_photos"]))
    ['my_photos', 'spiders', 'my_photos-2']
    """
    taken = set[str]()
    for group in groups:
        # A folder of photographs may be named with any sign, and some file systems take no notice of case.
        plain = re.sub(r"[^\w.-]+", "_", group)
        numbered = (f"{plain}-{number}" for number in itertools.count(2))
        name = next(one for one in itertools.chain([plain], numbered) if one.casefold() not in taken)
        taken.add(name.casefold())
        yield name
