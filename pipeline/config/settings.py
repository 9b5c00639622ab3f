"""params.yaml as checked values; the only reader of that file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from pipeline.config import messages, schema
from pipeline.config.layers import Layers
from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.core.files import read_yaml
from pipeline.core.recipe import Tracking
from pipeline.core.shortening import shown
from pipeline.core.types import Section
from pipeline.datasets.collect.sets import SETS
from pipeline.training.table import SCHEDULES

SECTIONS = ("data", "network", "train", "regularizer", "options")
# The blocks of params.yaml that every recipe is made of.
BLOCKS = ("defaults", "options", "recipes")
RESTORE = f"`git restore {paths.PARAMS}` restores the committed one"


class Settings(NamedTuple):
    """The whole of params.yaml.

    Attributes:
        axes: the keys at its top, checked.
        values: all of it, as plain data.
    """

    axes: schema.Axes
    values: Mapping[str, Any]

    def layers(self, recipe: str, data: str | None = None) -> Layers:
        """Return the settings of a recipe, with where each is from, before any axis.

        Args:
            recipe: a section of `recipes`.
            data: the set for which `per_data` counts; by default the recipe's own.
        """
        layers = _layers(self.values, recipe, data)
        # With numbers as numbers and names as text, however the file writes them.
        layers.values = schema.WholeRecipe.model_validate(layers.values).model_dump()
        return layers

    def place_of(self, key: Literal["archive", "folder"] | None) -> str | None:
        """Return where the user's own files of a set are; None where no place is named, or no key."""
        if key is None:
            return None
        place: str = getattr(self.axes, key)
        return None if key == "archive" and Path(place) == paths.NO_ARCHIVE else place


def read(path: Path = paths.PARAMS) -> Any:
    """Return the values of params.yaml, unchecked.

    Raises:
        InputError: for a file that is missing, empty or not YAML.
    """
    try:
        values = read_yaml(path)
    except FileNotFoundError:
        raise InputError(f"{paths.PARAMS}: no such file; run this in the project's root") from None
    if values is None:
        raise InputError(f"{paths.PARAMS}: empty; {RESTORE}")
    return values


def load(path: Path = paths.PARAMS) -> Settings:
    """Read and check params.yaml.

    Raises:
        InputError: naming the key, its value and what would do.
    """
    return check(read(path))


def tracking() -> Tracking:
    """Read what is shown in MLflow; the rest of params.yaml may be wrong, or of an earlier version.

    Raises:
        InputError: for a value that is neither true nor false.
    """
    values = read()
    block = values.get("mlflow") if isinstance(values, dict) else None
    checked: Tracking = _validate(Tracking, block or {}, lambda name: f"mlflow.{name}")
    return checked


def check(values: Any, *, like: Settings | None = None) -> Settings:
    """Check the values of params.yaml, every recipe of it included.

    Args:
        values: as `read` returns them.
        like: other settings; where their recipes are the same objects, they are not checked once more.

    Raises:
        InputError: in one line, for the first thing that is wrong and how many more there are.
    """
    if not isinstance(values, dict):
        raise InputError(f"{paths.PARAMS}: a mapping of keys is needed, not {type(values).__name__}; {RESTORE}")
    _validate(schema.File, values, lambda name: name)
    axes = schema.Axes.model_validate({name: values[name] for name in schema.Axes.model_fields})
    if axes.recipe not in values["recipes"]:
        known = ", ".join(values["recipes"])
        raise InputError(f"{paths.PARAMS}: recipe: {shown(axes.recipe)} is not one of {known}")
    if len(set(axes.repeats)) < len(axes.repeats):
        raise InputError(
            f"{paths.PARAMS}: repeats: {shown(list(axes.repeats))} has a number twice; each repeat needs its own"
        )
    if like is None or any(values[block] is not like.values[block] for block in BLOCKS):
        for recipe in values["recipes"]:
            _check_recipe(values, recipe)
    return Settings(axes, values)


def _validate(model: type[Section], values: Any, key: Callable[[str], str]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{paths.PARAMS}: {messages.one_line(error, values, model, key)}") from None


def _check_recipe(values: Mapping[str, Any], recipe: str) -> None:
    """Check a recipe on top of the defaults, by itself and for each set of its `per_data`."""
    plain = _layers(values, recipe, None)
    _validate(schema.WholeRecipe, plain.values, plain.origin)
    _check_names(plain)
    for data, changes in values["recipes"][recipe].get("per_data", {}).items():
        place = f"recipes.{recipe}.per_data.{data}"
        if unknown := [section for section in changes if section not in SECTIONS]:
            raise InputError(
                f"{paths.PARAMS}: {place}: {shown(unknown[0])} cannot be set per data set; "
                f"known here: {', '.join(SECTIONS)}"
            )
        section = changes.get("data")
        if isinstance(section, Mapping) and "set" in section:
            raise InputError(f"{paths.PARAMS}: {place}.data.set: cannot be set per data set; remove it")
        different = _layers(values, recipe, str(data))
        _validate(schema.WholeRecipe, different.values, different.origin)
        _check_names(different)


def _check_names(layers: Layers) -> None:
    """Check the names within options that are of other tables: sets of `alpha`, and schedules."""
    for method, options in layers.get("options.regularizer").items():
        place = f"options.regularizer.{method}"
        for name in options["alpha"] if isinstance(options.get("alpha"), Mapping) else ():
            if name not in ("default", *SETS):
                key = layers.origin(f"{place}.alpha.{name}")
                raise InputError(f"{paths.PARAMS}: {messages.unknown(name, key, ('default', *SETS))}")
        if (schedule := options.get("schedule", "auto")) not in ("auto", *SCHEDULES):
            key, known = layers.origin(f"{place}.schedule"), ", ".join(["auto", *SCHEDULES])
            raise InputError(f"{paths.PARAMS}: {key}: {shown(schedule)} is not one of {known}")


def _layers(values: Mapping[str, Any], recipe: str, data: str | None) -> Layers:
    layers = Layers(values["defaults"], "defaults")
    layers.put({"options": values["options"]}, "")
    place, own = f"recipes.{recipe}", values["recipes"][recipe]
    layers.put({name: value for name, value in own.items() if name != "per_data"}, place)
    section, per_data = layers.values["data"], own.get("per_data", {})
    layers.values["per_data"] = per_data
    layers.origins |= {key: f"{place}.{key}" for key in ("cite", "attentions", "per_data")}
    # Not yet checked: what is no mapping is refused when it is.
    name = data or (section.get("set") if isinstance(section, Mapping) else "")
    changes = per_data.get(name, {}) if isinstance(per_data, Mapping) else {}
    layers.put(changes if isinstance(changes, Mapping) else {}, f"{place}.per_data.{name}")
    return layers
