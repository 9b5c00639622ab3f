"""The grid of a study: axes of which every combination is a cell, named by its choices."""

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

from pipeline.core.shortening import LONGEST_VALUE, cut, shown

# Each is a training or several.
MOST_CELLS = 10_000
# What DVC takes as the name of an experiment, of which a cell's name is a part; then what a later axis adds to it.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
MORE = re.compile(r"[A-Za-z0-9_-]+")
NO_NAME = "is no name; letters, digits, - and _ make one, and a letter or a digit is first"

Grid = Mapping[str, Mapping[str, Any]]


def as_text(values: object) -> object:
    """Return keys as text: YAML reads `1:` as a number, and names are text.

    Raises:
        ValueError: where two are the same text.
    """
    return _named([(str(name), value) for name, value in values.items()]) if isinstance(values, Mapping) else values


def axis(values: object) -> object:
    """Return an axis by the names of its choices; values of a list name themselves, with `_` in place of a point.

    Raises:
        ValueError: where two have the same name, or there is neither a list nor names.
    """
    if isinstance(values, list):
        return _named([(str(value).replace(".", "_"), value) for value in values])
    if not isinstance(values, Mapping):
        raise ValueError(f"a list of values is needed, such as {[values] if values is not None else [1, 2]}")
    return as_text(values)


def _named(choices: list[tuple[str, Any]]) -> dict[str, Any]:
    by_name: dict[str, Any] = {}
    for name, value in choices:
        if name in by_name:
            raise ValueError(f"the name {shown(name)} is there twice; rename one: {{NAME: VALUE, OTHER: VALUE}}")
        by_name[name] = value
    return by_name


def check(grid: Grid) -> None:
    """Check how many combinations there are, and the names of the choices.

    Raises:
        ValueError: with what to change.
    """
    if (count := math.prod(map(len, grid.values()))) > MOST_CELLS:
        raise ValueError(f"grid: {count:,} combinations; at most {MOST_CELLS:,} are possible")
    for place, (key, choices) in enumerate(grid.items()):
        for name in choices:
            if not (MORE if place else NAME).fullmatch(name):
                key = cut(key, LONGEST_VALUE)
                raise ValueError(f"grid: {key}: {shown(name)} {NO_NAME}; give each value one: {key}: {{NAME: VALUE}}")


def combined(grid: Grid) -> dict[str, dict[str, Any]]:
    """Return the settings of each combination, by the names of its choices with `-` between them.

    Raises:
        ValueError: where two have the same name, as of `x` with `y-z` and of `x-y` with `z`.
    """
    if not grid:
        return {}
    cells: dict[str, dict[str, Any]] = {}
    made_of: dict[str, tuple[str, ...]] = {}
    for names in itertools.product(*grid.values()):
        merged: dict[str, Any] = {}
        for key, name in zip(grid, names, strict=True):
            choice = grid[key][name]
            merged |= dict(choice) if isinstance(choice, Mapping) else {key: choice}
        cell = "-".join(names)
        if cell in cells:
            first, second = (" with ".join(map(shown, choices)) for choices in (made_of[cell], names))
            raise ValueError(
                f"grid: {first} and {second} are both the cell {shown(cell)}; rename a choice, such as with _ in "
                "place of -"
            )
        cells[cell], made_of[cell] = merged, names
    return cells
