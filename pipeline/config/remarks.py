"""Notes on settings that are not read, or do not go together: a sweep may well have some, so none is refused."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.config.choices import FAMILIES
from pipeline.config.layers import at
from pipeline.config.resolve import Resolved
from pipeline.core import paths, provenance
from pipeline.core.choices import NONE
from pipeline.core.files import flat
from pipeline.core.naming import AUTO
from pipeline.core.sections import PHASES
from pipeline.datasets.collect.sets import SETS
from pipeline.networks.attention import start
from pipeline.networks.strategies import EVERYTHING, HEAD, LP_FT, PROBE, SCRATCH
from pipeline.regularizers.table import METHODS, TRAIN_OVERRIDES


def remarks(resolved: Resolved) -> list[str]:
    """Return what the user may not have meant, a line each."""
    return [*_places(resolved), *_combinations(resolved), *_replaced(resolved), *_not_read(resolved)]


def _places(resolved: Resolved) -> Iterator[str]:
    axes, data, weights = resolved.settings.axes, resolved.recipe.data.set, resolved.recipe.network.weights
    reads = reads_place(data)
    if Path(axes.folder) != paths.OWN_FOLDER and reads != "folder":
        yield f"folder is not read: data is {data!r}; add -S data=folder"
    if resolved.settings.place_of("archive") and reads != "archive":
        yield f"archive is not read: data is {data!r}, which needs none"
    if Path(axes.weights_file) != paths.NO_WEIGHTS_FILE and weights != "file":
        yield f"weights_file is not read: weights is {weights!r}; add -S weights=file"


def reads_place(data: str) -> str:
    """Return the key of params.yaml that names a set's own files; "" where it has none."""
    row = SETS[data]
    return (row.given_by or "") if row.downloads or row.given_by == "folder" else ""


def _combinations(resolved: Resolved) -> Iterator[str]:
    axes, recipe = resolved.settings.axes, resolved.recipe
    network, method = recipe.network, recipe.regularizer.method
    if axes.freeze == SCRATCH and axes.weights not in (AUTO, NONE):
        yield f"weights is not read: freeze is {SCRATCH!r}, which begins with random values"
    for key in ("lr", "budget") if network.freeze == PROBE else ():
        if getattr(axes, key) != AUTO:
            yield f"{key} is not read: freeze is {PROBE!r}, which trains nothing"
    if network.attention != NONE and network.freeze == PROBE:
        yield f"attention is {network.attention!r} with freeze {PROBE!r}: it stays as it begins"
    if network.weights == NONE and network.freeze in (LP_FT, PROBE):
        yield f"freeze is {network.freeze!r} with weights {NONE!r}: the head is solved on features of random values"
    elif network.weights == NONE and network.freeze != EVERYTHING:
        yield f"freeze is {network.freeze!r} with weights {NONE!r}: layers stay frozen at random values"
    if network.weights == NONE and method != NONE and METHODS[method].needs_pretrained:
        yield f"regularizer is {method!r} with weights {NONE!r}: it stays near random values"
    if recipe.train.layer_decay < 1 and all(phase.freeze == HEAD for phase in recipe.train.phases):
        yield f"{resolved.origin('train.layer_decay')} changes nothing: no block trains, only the head"
    if doubt := start.doubt(recipe, recipe.own):
        key = resolved.origin(f"options.attention.{network.attention}.gate_init")
        yield f"{doubt}; -S {key}={start.IDENTITY} starts from the network as it was, docs/training.md compares both"


def _replaced(resolved: Resolved) -> Iterator[str]:
    """Yield what of a recipe its data set's, its regularizer's or its strategy's own values take the place of."""
    settings, recipe, layers = resolved.settings, resolved.recipe, resolved.layers
    own, data = settings.values["recipes"][recipe.recipe], recipe.data.set
    if differing := ", ".join(name for name, _ in flat(own.get("per_data", {}).get(data, {}))):
        yield f"for data {data!r}, recipes.{recipe.recipe}.per_data.{data} decides {differing}"
    before, method = settings.layers(recipe.recipe, data), recipe.regularizer.method
    for key in TRAIN_OVERRIDES if method != NONE else ():
        there = f"options.regularizer.{method}.{key}"
        if before.get("options.regularizer").get(method, {}).get(key, AUTO) not in (AUTO, before.get(f"train.{key}")):
            yield f"train.{key} is not read: {before.origin(there)} is in its place"
    if before.get("train.phases") and recipe.network.freeze != PHASES:
        yield f"{layers.origin('train.phases')} is not read: freeze is {recipe.network.freeze!r}"


def _not_read(resolved: Resolved) -> Iterator[str]:
    """Yield what was changed since the last commit and counts for another recipe or another choice alone."""
    before = provenance.committed(paths.PARAMS)
    changed = {
        name: value
        for block in ("defaults", "options")
        for name, value in flat({block: resolved.settings.values[block]})
        if before is not None and value != at(before, name)
    }
    for name in changed:
        if name.startswith("defaults."):
            origin = resolved.origin(name.removeprefix("defaults."))
            if origin != name and not origin.startswith("options."):
                yield f"{name} is not read: {origin} is in its place"
            continue
        _, family, choice, *_ = name.split(".")
        setting = FAMILIES[family]
        if choice not in resolved.recipe.options.get(family, {}):
            yield f"{name} is not read: {setting} is {resolved.layers.get(setting)!r}"
        elif (origin := resolved.origin(name)) != name and not origin.startswith(name):
            yield f"{name} is not read: {origin} is in its place"
