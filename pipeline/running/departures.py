"""Settings of a study's cells that are not those of its file, and images that are not those of the printed figures."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.config import Resolved
from pipeline.config.choices import AXES
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.naming import AUTO
from pipeline.core.overrides import overridden_key, override
from pipeline.datasets.collect.sets import SETS
from pipeline.preview.overriding import read_each
from pipeline.running import edits
from pipeline.running.cells import Cell
from pipeline.studies.definition import Named

# What a figure is not of: the user's machine and files, what is written beside, and how many repeats and draws of
# images a mean is over, which tables of results show.
NO_SETTINGS = (
    *("folder", "archive", "weights_file", "device", "threads", "cpu_instructions"),
    *("checkpoint_every", "mlflow", "repeats", "defaults.data.split.division"),
)


class Departures(NamedTuple):
    """How cells differ from what was printed.

    Attributes:
        lines: for the study's page, a sentence each.
        elsewhere: the cells that are on another data set than the printed figures.
    """

    lines: Sequence[str] = ()
    elsewhere: frozenset[str] = frozenset()


def set_for_all(planned: Sequence[Cell]) -> str:
    """Return in a sentence what params.yaml sets that no cell sets itself; empty where it sets nothing.

    That is what is not `auto` at its top or was edited since the commit, as far as it has an effect on the first cell.
    """
    words = edited(planned)
    return f"{paths.PARAMS} sets for all cells: {' '.join(words)}" if words else ""


def edited(planned: Sequence[Cell]) -> list[str]:
    """Return the same as words after -S."""
    own = {overridden_key(word) for cell in planned for word in cell.overrides}
    return edits.words(planned[0].resolved, own)


def from_printed(named: Named, planned: Sequence[Cell], words: Sequence[str]) -> Departures:
    """Return how cells differ from what was printed; nothing for a study of one's own.

    Args:
        named: the study.
        planned: its cells.
        words: what the user sets for all of them, as after -S.
    """
    if not (source := named.study.source):
        return Departures()
    filed = _as_filed(named, planned)
    changed = [word for word in words if word != override("data", source.data)]
    if all(cell.name in filed and _settings(cell.resolved) == _settings(filed[cell.name]) for cell in planned):
        # The user's words are the file's own values. Those of params.yaml that have no effect are left out anyway.
        changed = []
    changed = [word for word in [*changed, *edited(planned)] if overridden_key(word) not in NO_SETTINGS]
    sets = {cell.name: cell.resolved.recipe.data.set for cell in planned}
    lines = list[str]()
    if changed:
        lines.append(f"Differs from the study's file: {', '.join(changed)}; the printed figures are of other settings.")
    if source.data and set(sets.values()) != {source.data}:
        lines.append(f"The printed figures are of {SETS[source.data].title}.")
        if "folder" in sets.values():
            way = f"`--data {source.data}` checks its classes and gives them the printed names"
            lines.append(f"If your folder is a copy of it, {way}.")
    own = {name: {source.data, resolved.recipe.data.set} for name, resolved in filed.items()}
    return Departures(lines, frozenset(name for name, data in sets.items() if data not in own.get(name, {data})))


def _settings(resolved: Resolved) -> object:
    return resolved.recipe.settings()


def _as_filed(named: Named, planned: Sequence[Cell]) -> Mapping[str, Resolved]:
    """Return cells with what the study's file says and nothing at the top of params.yaml, by their names.

    It is empty where the file alone is no experiment.
    """
    every, names = named.study.settings(), [cell.name for cell in planned]
    own = {name: dict.fromkeys(AXES, AUTO) | named.study.set | every[name] for name in names}
    try:
        read = read_each([override(key, value) for key, value in own[name].items()] for name in names)
        return dict(zip(names, read, strict=True))
    except InputError:
        return {}
