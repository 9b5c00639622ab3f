"""From params.yaml to the resolved recipe: defaults < options < recipe < per_data < axes, and nothing left `auto`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from pipeline.config import messages, rules, scaling
from pipeline.config.choices import AXES, FAMILIES
from pipeline.config.layers import Layers
from pipeline.config.schema import Axes
from pipeline.config.settings import Settings
from pipeline.core import paths
from pipeline.core.choices import NONE
from pipeline.core.errors import InputError
from pipeline.core.files import flat
from pipeline.core.naming import AUTO
from pipeline.core.recipe import Recipe
from pipeline.core.sections import KEPT, PHASES, SOLVED
from pipeline.datasets.collect.sets import SETS
from pipeline.datasets.prepared import leaks
from pipeline.networks.backbones.table import known
from pipeline.networks.strategies import EVERYTHING, HEAD, LP_FT, PROBE, SCRATCH
from pipeline.regularizers.table import METHODS, TRAIN_OVERRIDES

# Keys at the top of params.yaml that are the recipe's as they are.
OTHERS = ("device", "threads", "cpu_instructions", "checkpoint_every", "mlflow")


class Resolved(NamedTuple):
    """One experiment.

    Attributes:
        recipe: its settings.
        layers: the same before they were checked as a whole, with the origin of each.
        settings: the params.yaml that it is of.
    """

    recipe: Recipe
    layers: Layers
    settings: Settings

    def origin(self, name: str) -> str:
        """Return the key of params.yaml that a value of the recipe is from."""
        return self.layers.origin(name)


def resolve(settings: Settings) -> Resolved:
    """Put the recipe, its differences for the data set and the axes together.

    Raises:
        InputError: for settings that exclude each other, or that an axis scales out of range.
    """
    axes = settings.axes
    layers = settings.layers(axes.recipe, None if axes.data == AUTO else axes.data)
    attention = layers.get("network.attention")
    if axes.attention in layers.get("attentions"):
        attention = axes.attention
    own = {"attention": attention}
    for axis, setting in AXES.items():
        if getattr(axes, axis) != AUTO and axis not in scaling.AXES:
            layers.set(setting, getattr(axes, axis), axis)
    rules.check_choices(axes, layers)
    _let_the_method_decide(axes, layers)
    own |= {"amount": layers.get("train.budget.amount")}
    rules.check_phases(axes, layers)
    scaling.scale(axes, layers)
    _resolve_data(layers)
    _resolve_phases(layers)
    rules.check_head(layers)
    rules.check_probe(layers)
    rules.check_parts(layers)
    rules.check_early_stop(layers)
    _resolve_weights(layers)
    rules.check_weights(layers)
    plain = {name: layers.values[name] for name in ("data", "network", "train", "regularizer")}
    others = {name: getattr(axes, name) for name in OTHERS}
    others |= {"repeats": list(axes.repeats), "own": own}
    values = {"recipe": axes.recipe, "cite": layers.get("cite"), **plain, "options": options(layers), **others}
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{paths.PARAMS}: {messages.one_line(error, values, Recipe, layers.origin)}") from None
    rules.check_crop(recipe, layers)
    return Resolved(recipe, layers, settings)


def _let_the_method_decide(axes: Axes, layers: Layers) -> None:
    """Put in what the regularizer says in place of `train`, and that l2_fe trains the head alone."""
    method = layers.get("regularizer.method")
    if method == NONE:
        return
    own = layers.get(f"options.regularizer.{method}")
    for key in TRAIN_OVERRIDES:
        # The axis `budget` is in the recipe's unit.
        if own.get(key, AUTO) == AUTO or (key == "budget" and axes.budget != AUTO):
            continue
        there = f"options.regularizer.{method}.{key}"
        for name, value in list(flat({key: own[key]})):
            layers.set(f"train.{name}", value, layers.origin(f"{there}{name.removeprefix(key)}"))
    if METHODS[method].trains_head_alone and axes.freeze == AUTO:
        layers.set("network.freeze", HEAD, layers.origin("regularizer.method"))


def _resolve_data(layers: Layers) -> None:
    data, row = layers.values["data"], SETS[layers.get("data.set")]
    if data["crop_size"] == AUTO:
        data["crop_size"] = data["image_size"]
    if data["input_size"] == AUTO:
        data["input_size"] = data["crop_size"]
    backbone, origin = known(layers.get("network.backbone")), layers.origin("network.backbone")
    if data["interpolation"] == AUTO:
        data["interpolation"] = backbone.interpolation
    layers.set("data.mean", list(backbone.mean), origin)
    layers.set("data.std", list(backbone.std), origin)
    data["on_leak"] = leaks.resolved(data["on_leak"], as_published=bool(row.official or row.per_class))
    if data["split"]["per_class"] == AUTO:
        data["split"]["per_class"] = row.per_class.model_dump() if row.per_class else NONE


def _resolve_phases(layers: Layers) -> None:
    """Put in the phases of every training: the recipe's, the two of a method that has two, or one."""
    train, freeze = layers.values["train"], str(layers.get("network.freeze"))
    methods = sequence(layers.get("regularizer.method"), layers.get("options.regularizer"))
    if freeze == PHASES:
        train["phases"] = [
            {**phase, "freeze": str(phase["freeze"]), "regularizer": methods[0], "continues": False}
            for phase in train["phases"]
        ]
        return
    if freeze == PROBE:
        # One epoch that changes nothing: it measures the loss, and what reads a training's curves finds them.
        for key, value in {"unit": "epochs", "amount": 1}.items():
            layers.set(f"train.budget.{key}", value, layers.origin("network.freeze"))
    head = SOLVED if freeze in (LP_FT, PROBE) else KEPT
    lr = 0.0 if freeze == PROBE else train["lr"]
    freeze = {SCRATCH: EVERYTHING, LP_FT: EVERYTHING, PROBE: HEAD}.get(freeze, freeze)
    amount = train["budget"]["amount"]
    amounts = [amount // 2, amount - amount // 2] if len(methods) > 1 else [amount]
    train["phases"] = [
        {"freeze": freeze, "amount": part, "lr": lr, "regularizer": method, "continues": number > 0}
        | {"head": KEPT if number else head}
        for number, (part, method) in enumerate(zip(amounts, methods, strict=True))
    ]


def sequence(method: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the methods, one after the other, that a regularizer stands for."""
    if method == NONE or not METHODS[method].sequences:
        return (method,)
    return METHODS[method].sequences[options[method]["order"]]


def _resolve_weights(layers: Layers) -> None:
    """Put in what `scratch` stands for: everything trains, and nothing is pre-trained."""
    if layers.get("network.freeze") == SCRATCH:
        origin = layers.origin("network.freeze")
        layers.set("network.freeze", EVERYTHING, origin)
        layers.set("network.weights", NONE, origin)


def options(layers: Layers) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the options of the choices that were made, by family."""
    every = layers.get("options")
    made = {family: [layers.get(setting)] for family, setting in FAMILIES.items() if family not in ("regularizer",)}
    made["freeze"] = [phase["freeze"] for phase in layers.get("train.phases")]
    regularizers = _regularizer_options(layers)
    if "l2_fe" in regularizers:
        made["schedule"].append(regularizers["l2_fe"]["schedule"])
    taken = {
        family: {name: every[family][name] for name in dict.fromkeys(names) if name in every[family]}
        for family, names in made.items()
    }
    if not taken["freeze"]:
        del taken["freeze"]
    return {**taken, "regularizer": regularizers}


def _regularizer_options(layers: Layers) -> dict[str, dict[str, Any]]:
    """Return the options of the regularizer and of the methods that it is made of."""
    method = layers.get("regularizer.method")
    if method == NONE:
        return {}
    every, train = layers.get("options.regularizer"), layers.get("train")
    own = {name: train[name] if value == AUTO else value for name, value in every[method].items()}
    taken = {method: own}
    for part in sequence(method, every):
        if part != method:
            taken[part] = {name: value for name, value in every[part].items() if name not in TRAIN_OVERRIDES}
    if head := METHODS[method].head_trained_by:
        taken[head] = {name: train[name] if value == AUTO else value for name, value in every[head].items()}
    return {name: _with_one_alpha(name, values, layers) for name, values in taken.items()}


def _with_one_alpha(method: str, values: Mapping[str, Any], layers: Layers) -> dict[str, Any]:
    """Return options with the strength for the data set."""
    if "alpha" not in values:
        return dict(values)
    name, data = f"options.regularizer.{method}.alpha", layers.get("data.set")
    key = data if data in values["alpha"] else "default"
    # A plain number is for all sets, and has no key of its own.
    layers.origins.setdefault(name, layers.origin(f"{name}.{key}"))
    return {**values, "alpha": values["alpha"][key]}
