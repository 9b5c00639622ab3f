"""The types of params.yaml: the axes at its top, and the sections of a recipe before `auto` is resolved."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model
from pydantic_core import PydanticCustomError

from pipeline.config.choices import FAMILIES, TABLES
from pipeline.core import sections
from pipeline.core.cpu_instructions import CpuInstructions
from pipeline.core.errors import InputError
from pipeline.core.naming import AUTO
from pipeline.core.recipe import Tracking
from pipeline.core.sections import InputSide, Side
from pipeline.core.seeding import DEVICE
from pipeline.core.types import Amount, BatchSize, LearningRate, Minutes, Name, PerClass, Repeats, Section, Threads
from pipeline.networks.backbones.table import TIMM, known
from pipeline.networks.strategies import OTHER_STRATEGIES

Auto = Literal["auto"]
BACKBONE = "network.backbone"


def one_of(setting: str, *others: str) -> AfterValidator:
    """Return a check that a name is in a setting's table, or one of others."""
    names = (*others, *TABLES[setting])

    def check(name: str) -> str:
        if setting == BACKBONE and name.startswith(TIMM):
            _check_timm(name)
        elif name not in names:
            raise PydanticCustomError("not_one_of", "is not one of {known}", {"known": ", ".join(names)})
        return name

    return AfterValidator(check)


def _check_timm(name: str) -> None:
    """Raise for a model that timm does not know, or that cannot be used; imports timm."""
    try:
        known(name)
    except InputError as error:
        raise ValueError(str(error).removeprefix("backbone: ").removeprefix(f"{name!r} ")) from None


def _safe(place: str) -> str:
    if "${" in place:
        raise ValueError("DVC would put a value in place of its '${'; rename it, or link to it by another name")
    if character := next((character for character in place if not character.isprintable()), None):
        raise ValueError(f"it has {character!r}, which cannot be seen; rename it, or link to it by another name")
    return place


def _of_a_phase(name: str) -> str:
    if name in OTHER_STRATEGIES:
        raise ValueError("this is for a whole training, not for a phase; 2 trains everything")
    return name


Place = Annotated[str, Field(min_length=1), AfterValidator(_safe)]


class SplitSettings(sections.Fractions):
    """As in params.yaml; `per_class: auto` is the numbers of images that the papers draw of the set."""

    per_class: PerClass | Literal["auto", "none"]


class DataSettings(sections.Images):
    """As in params.yaml.

    `interpolation: auto` is the backbone's; `crop_size: auto` is `image_size`, so that nothing is cropped; `input_size:
    auto` is `crop_size`; `on_leak: auto` is `refuse`, but `allow` for a published set whose parts, or numbers of images
    by class, are those of its papers.
    """

    set: Annotated[Name, one_of("data.set")]
    interpolation: Literal["auto", "bilinear", "bicubic"]
    crop_size: Side | Auto
    input_size: InputSide | Auto
    augmentation: Annotated[Name, one_of("data.augmentation")]
    on_leak: Literal["auto", "refuse", "drop", "allow"]
    split: SplitSettings


class NetworkSettings(sections.Network):
    """As in params.yaml."""

    backbone: Annotated[Name, one_of("network.backbone")]
    weights: Annotated[Name, one_of("network.weights")]
    freeze: Annotated[Name, one_of("network.freeze")]
    attention: Annotated[Name, one_of("network.attention")]
    head: Annotated[Name, one_of("network.head")]


class PhaseSettings(Section):
    """A part of the budget with its own freezing and rate; `amount` is in the budget's unit, `head` may be left out."""

    freeze: Annotated[Name, AfterValidator(_of_a_phase)]
    amount: Amount
    lr: LearningRate
    head: sections.Head = sections.KEPT


class TrainSettings(sections.Loop):
    """As in params.yaml."""

    optimizer: Annotated[Name, one_of("train.optimizer")]
    schedule: Annotated[Name, one_of("train.schedule")]
    sampler: Annotated[Name, one_of("train.sampler")]
    class_weights: Annotated[Name, one_of("train.class_weights")]
    phases: Annotated[tuple[PhaseSettings, ...], Field(max_length=sections.MOST_PHASES)]


class RegularizerSettings(sections.Regularizer):
    """As in params.yaml."""

    method: Annotated[Name, one_of("regularizer.method")]


class Defaults(Section):
    """Every setting of a recipe but options."""

    data: DataSettings
    network: NetworkSettings
    train: TrainSettings
    regularizer: RegularizerSettings


class _WholeRecipe(Defaults):
    """A recipe on top of the defaults.

    `attentions` are what its paper trains with its budget beside its own attention; `per_data` is what differs for a
    data set.
    """

    cite: str
    attentions: Annotated[
        tuple[Annotated[Name, one_of("network.attention")], ...], Field(max_length=len(TABLES["network.attention"]))
    ] = ()
    per_data: dict[Annotated[Name, one_of("data.set")], dict[str, Any]] = Field(default_factory=dict)


class Axes(Section):
    """The keys at the top of params.yaml."""

    recipe: Name
    data: Annotated[Name, one_of("data.set", AUTO)]
    folder: Place
    archive: Place
    backbone: Annotated[Name, one_of("network.backbone", AUTO)]
    weights: Annotated[Name, one_of("network.weights", AUTO)]
    weights_file: Place
    freeze: Annotated[Name, one_of("network.freeze", AUTO)]
    attention: Annotated[Name, one_of("network.attention", AUTO)]
    regularizer: Annotated[Name, one_of("regularizer.method", AUTO)]
    head: Annotated[Name, one_of("network.head", AUTO)]
    image_size: Side | Auto
    augmentation: Annotated[Name, one_of("data.augmentation", AUTO)]
    lr: LearningRate | Auto
    batch_size: BatchSize | Auto
    budget: Amount | Auto
    repeats: Repeats
    device: Annotated[str, Field(pattern=f"^({DEVICE.pattern})$")]
    threads: Threads | Auto
    cpu_instructions: CpuInstructions
    checkpoint_every: Minutes
    mlflow: Tracking


class _File(Axes):
    """The whole of params.yaml; each recipe is checked on top of the defaults."""

    defaults: Defaults
    recipes: dict[str, dict[str, Any]]


def _options(family: str) -> type[Section]:
    rows = TABLES[FAMILIES[family]].items()
    fields: dict[str, Any] = {name: (row.options_type, ...) for name, row in rows if row.options_type}
    return create_model(f"{family.title()}Options", __base__=Section, **fields)


_FAMILIES: dict[str, Any] = {family: (_options(family), ...) for family in FAMILIES}
# The options of every choice that has some, by family and name.
Options: type[Section] = create_model("Options", __base__=Section, **_FAMILIES)
_WITH_OPTIONS: dict[str, Any] = {"options": (Options, ...)}
WholeRecipe: type[Section] = create_model("WholeRecipe", __base__=_WholeRecipe, **_WITH_OPTIONS)
File: type[Section] = create_model("File", __base__=_File, **_WITH_OPTIONS)
