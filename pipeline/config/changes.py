"""Values that an experiment has in place of its recipe's own: from values, not from a difference of files."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config import schema
from pipeline.config.choices import AXES
from pipeline.config.layers import at
from pipeline.config.resolve import Resolved, resolve
from pipeline.config.settings import BLOCKS, Settings
from pipeline.core import paths, provenance
from pipeline.core.errors import InputError
from pipeline.core.files import flat
from pipeline.core.naming import AUTO, Naming
from pipeline.core.recipe import Recipe
from pipeline.datasets.collect.sets import SETS

# Of more changes none is left out for having no effect: each takes a resolution of all settings.
MOST_TRIED = 30


def naming(resolved: Resolved) -> Naming:
    """Return what tells an experiment apart from others of its recipe."""
    row, data = SETS[resolved.recipe.data.set], resolved.recipe.data.set
    own = row.given_by == "folder" and not row.is_published
    name = Path(resolved.settings.axes.folder).name if own else data
    committed = provenance.committed(paths.PARAMS)
    changed = changes(resolved, committed)
    return Naming(
        data=name or data,
        recipe_in_commit=not isinstance(committed, Mapping)
        or resolved.recipe.recipe in (committed.get("recipes") or {}),
        changes=changed,
        own=own_values(resolved, committed, changed),
    )


def changes(resolved: Resolved, committed: Any) -> dict[str, Any]:
    """Return what an experiment has in place of its recipe's own values, by the key of params.yaml.

    The recipe's own values are those with every axis at `auto`, with the commit's other blocks. What has no effect,
    such as a value that is the recipe's own, is left out.

    Args:
        resolved: the experiment.
        committed: params.yaml of the commit that is checked out; None outside git.
    """
    values = resolved.settings.values
    before = _before(resolved, committed)
    base = _base(resolved, committed)
    found = {axis: values[axis] for axis in AXES if values[axis] != AUTO}
    there = dict(flat({block: base[block] for block in BLOCKS}))
    here = dict(flat({block: values[block] for block in BLOCKS}))
    changed = [name for name, value in here.items() if name not in there or there[name] != value]
    found |= {name: at(values, name) for name in dict.fromkeys(_settable(name, there) for name in changed)}
    # A line that was taken out of the recipe lets the defaults decide: said as a line with their value.
    own, plain = f"recipes.{resolved.recipe.recipe}.", dict(flat(resolved.recipe.plain()))
    gone = [name for name in there if name.startswith(own) and name not in here]
    found |= {name: plain[key] for name in gone if (key := name.removeprefix(own)) in plain}
    for name in list(found) if len(found) <= MOST_TRIED else []:
        fewer = {key: value for key, value in found.items() if key != name}
        if _recipe(base, fewer) == resolved.recipe:
            found = fewer
    taken_back = {axis: AUTO for axis in AXES if before.get(axis, AUTO) != AUTO and values[axis] == AUTO}
    return found | taken_back


def own_values(resolved: Resolved, committed: Any, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe's own values of what an experiment changes, on its images where it has values for these.

    Args:
        resolved: the experiment.
        committed: params.yaml of the commit that is checked out; None outside git.
        changed: what `changes` returned.
    """
    base = _base(resolved, committed)
    by_data = {axis: value for axis, value in changed.items() if axis == "data"}
    alone, here = _recipe(base, {}), _recipe(base, by_data)
    values = {}
    for name in changed:
        recipe = alone if name == "data" else here
        values[name] = at(recipe.plain() if recipe else {}, AXES[name]) if name in AXES else at(base, name)
    return {name: value for name, value in values.items() if value is not None}


def _before(resolved: Resolved, committed: Any) -> Mapping[str, Any]:
    """Return params.yaml of the commit, with the recipe's lines where it has none; where it is no such file, the own.

    A recipe that was never committed has no earlier values that it could differ from; defaults and options have.
    """
    values, name = resolved.settings.values, resolved.recipe.recipe
    if not isinstance(committed, Mapping) or not all(isinstance(committed.get(block), Mapping) for block in BLOCKS):
        return values
    return {**committed, "recipes": {name: values["recipes"][name], **committed["recipes"]}}


def _base(resolved: Resolved, committed: Any) -> dict[str, Any]:
    """Return the values that give the recipe itself: the commit's blocks with every axis at `auto`."""
    before = _before(resolved, committed)
    blocks = {block: deepcopy(before[block]) for block in BLOCKS}
    return deepcopy(dict(resolved.settings.values)) | blocks | dict.fromkeys(AXES, AUTO)


def _settable(name: str, there: Mapping[str, Any]) -> str:
    """Return what `-S` can set: of a section in place of a word, such as `per_class`, the whole section."""
    above = name.split(".")
    prefixes = (".".join(above[:number]) for number in range(1, len(above)))
    return next((prefix for prefix in prefixes if prefix in there), name)


def _recipe(base: Mapping[str, Any], changed: Mapping[str, Any]) -> Recipe | None:
    """Return the recipe that follows from values with some changed; None where they are refused."""
    values = deepcopy(dict(base))
    for name, value in changed.items():
        *above, last = name.split(".")
        section = values
        for key in above:
            section = section.setdefault(key, {})
        section[last] = value
    try:
        axes = schema.Axes.model_validate({name: values[name] for name in schema.Axes.model_fields})
        return resolve(Settings(axes, values)).recipe
    except (InputError, ValidationError, KeyError, AttributeError, TypeError):
        return None
