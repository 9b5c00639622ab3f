"""params.yaml as checked, frozen values: the only reader of that file.

A section of `papers` is a whole recipe. The axes at the top of the file replace single values of the chosen
section; `auto` leaves them as they are. `Params.experiment()` joins the two.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipeline.core import paths
from pipeline.core.errors import InputError
from pipeline.datasets.augmenting.table import (
    CROP,
    AnimalsAugmentation,
    CscaAugmentation,
    HierarchicalAugmentation,
)
from pipeline.training.table import AdamOptions, CosineOptions, ExponentialOptions, SgdOptions, StepOptions

AUTO = "auto"
PHASES = "phases"


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


def _name(value: object) -> object:
    """YAML reads `freeze: 1` as a number; names are text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_number)]
Positive = Annotated[Real, Field(gt=0)]
NotNegative = Annotated[Real, Field(ge=0)]
Count = Annotated[Whole, Field(ge=1)]
Seed = Annotated[Whole, Field(ge=0, lt=2**32)]
Rate = Annotated[Real, Field(ge=0, lt=1)]
Fraction = Annotated[Real, Field(gt=0, lt=1)]

DataSet = Literal[
    "synthetic",
    "folder",
    "spiders",
    "cub200",
    "dogs",
    "cars",
    "caltech256_30",
    "caltech256_60",
    "mit67",
    "cifar10",
    "cifar100",
    "cifar100_few",
    "animals10",
    "digits",
]
Backbone = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "vgg16",
    "googlenet",
    "efficientnet_b0",
    "vit_b_16",
    "mobilenet_v2",
]
Weights = Literal["imagenet", "places365", "file", "synthetic", "none"]
Strategy = Literal["1", "2", "3a", "3b", "3c", "scratch", "phases"]
Attention = Literal["none", "se", "eca", "spatial", "cbam", "self", "ecsm", "ca", "sa", "csca", "hierarchical"]
RegularizerName = Literal["none", "l2", "l2_fe", "l2_sp", "delta", "ast", "act", "afa", "spa", "gca", "spa_gca"]
# Those that train half of the budget each, one after the other, by the order that is chosen.
HALVES = {
    "afa": {"ast_act": ("ast", "act")},
    "spa_gca": {"spa_gca": ("spa", "gca"), "gca_spa": ("gca", "spa")},
}
# Those that need no pre-trained values to stay near.
WITHOUT_SOURCE = ("none", "l2")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class PerClass(_Section):
    """So many images of every class in each part; 0 for a part that the set has of its own is that part, whole."""

    train: Annotated[Whole, Field(ge=0)]
    test: Annotated[Whole, Field(ge=0)]
    val: Annotated[Whole, Field(ge=0)]


class Split(_Section):
    """How a set without parts of its own is divided; `val` is a part of what is left for training.

    `per_class` takes the place of `test`: `auto` is what the papers draw of the set, if they do.
    """

    test: Fraction
    val: Rate
    seed: Seed
    per_class: PerClass | Literal["auto", "none"]


class AugmentationOptions(_Section):
    """One sub-section an augmentation that has options."""

    csca: CscaAugmentation
    hierarchical: HierarchicalAugmentation
    animals: AnimalsAugmentation


SMALLEST_INPUT = 32
Side = Annotated[Whole, Field(ge=16, le=1024)]


class Data(_Section):
    """Which images, and how they reach the network.

    `crop_size: auto` is `image_size`, or seven eighths of it (224 of 256) where the augmentation is `crop256`;
    `input_size: auto` is `crop_size`; `on_leak: auto` is `refuse`, but `allow` for a published set whose parts, or
    numbers of images by class, are those of its papers.
    """

    set: DataSet
    image_size: Side
    resize: Literal["stretch", "crop"]
    crop_size: Side | Literal["auto"]
    crop_padding: Annotated[Whole, Field(ge=0, le=512)]
    input_size: Annotated[Whole, Field(ge=SMALLEST_INPUT, le=1024)] | Literal["auto"]
    augmentation: Literal["none", "flip", "csca", "hierarchical", "animals", "crop256"]
    augmentation_options: AugmentationOptions
    duplicates: Literal["refuse", "allow"]
    on_leak: Literal["auto", "refuse", "drop", "allow"]
    split: Split

    @model_validator(mode="after")
    def _crop_fits(self) -> "Data":
        sizes = self.sizes()
        if sizes.crop > self.image_size + 2 * self.crop_padding:
            raise ValueError(
                f"crop_size: {sizes.crop} is more than image_size {self.image_size} with crop_padding "
                f"{self.crop_padding} on each side; make it smaller, or auto"
            )
        if self.augmentation == CROP and sizes.crop == self.image_size + 2 * self.crop_padding:
            raise ValueError(
                f"augmentation: {CROP} cuts at random, and crop_size {sizes.crop} is all there is to cut from; make "
                "crop_size smaller, or auto"
            )
        if sizes.input < SMALLEST_INPUT:
            raise ValueError(f"input_size: {sizes.input} is too small; at least {SMALLEST_INPUT} is needed")
        return self

    def sizes(self) -> "Sizes":
        """Sides in pixels, with what `auto` stands for put in."""
        whole = self.image_size * 7 // 8 if self.augmentation == CROP else self.image_size
        crop = self.crop_size if isinstance(self.crop_size, int) else whole
        return Sizes(self.image_size, crop, self.input_size if isinstance(self.input_size, int) else crop)

    def chosen_augmentation_options(self) -> dict[str, float]:
        """The options of the augmentation that was chosen; none where it has none."""
        return _chosen(self.augmentation_options, self.augmentation)


class Sizes(NamedTuple):
    """Sides in pixels: of the packed images, of what is cut from them, of what the network is given."""

    image: int
    crop: int
    input: int


def _chosen(options: BaseModel, choice: str) -> dict[str, Any]:
    """The sub-section of a choice; empty where it has none."""
    section: dict[str, dict[str, Any]] = options.model_dump()
    return section.get(choice, {})


class Dropout(_Section):
    """Options of a head with dropout."""

    dropout: Rate


class HeadOptions(_Section):
    """One sub-section a head that has options."""

    mlp1024: Dropout
    linear: Dropout


Place = Literal["after_stages", "in_blocks", "tail"]
GateInit = Literal["paper", "identity"]


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd number is needed, so that the map keeps its size")
    return value


Kernel = Annotated[Whole, Field(ge=1, le=31), AfterValidator(_odd)]


class Placed(_Section):
    """Options that every attention mechanism has: where it goes."""

    place: Place


class Gated(Placed):
    """`paper`: gates start near one half; `identity`: at one, so that the network starts as it was."""

    gate_init: GateInit


class ReducedOptions(Gated):
    """A bottleneck of 1 / `reduction` of the channels."""

    reduction: Count


class SpatialOptions(Gated):
    """The side of the convolution over positions."""

    kernel_size: Kernel


class CbamOptions(ReducedOptions):
    """Both."""

    kernel_size: Kernel


class SelfOptions(Placed):
    """Query and key have 1 / `reduction` of the channels."""

    reduction: Count


class CscaOptions(CbamOptions):
    """One map for channels and positions together, or one after the other."""

    mode: Literal["joint", "sequential"]


class HierarchicalOptions(ReducedOptions):
    """Whether past maps are one more map, and how slowly their mean moves."""

    temporal_memory: bool
    memory_momentum: Rate


class AttentionOptions(_Section):
    """One sub-section an attention mechanism that has options."""

    se: ReducedOptions
    eca: Gated
    spatial: SpatialOptions
    cbam: CbamOptions
    self: SelfOptions
    ecsm: CbamOptions
    ca: ReducedOptions
    sa: SpatialOptions
    csca: CscaOptions
    hierarchical: HierarchicalOptions


class Network(_Section):
    """The pre-trained network, what is put on it and what of it trains."""

    backbone: Backbone
    weights: Weights
    freeze: Annotated[Strategy, BeforeValidator(_name)]
    attention: Attention
    attention_options: AttentionOptions
    head: Literal["mlp1024", "linear", "fcn", "stock"]
    head_options: HeadOptions

    def chosen_head_options(self) -> dict[str, float]:
        """The options of the head that was chosen; none where it has none."""
        return _chosen(self.head_options, self.head)

    def chosen_attention_options(self) -> dict[str, Any]:
        """The options of the attention that was chosen; none where it has none."""
        return _chosen(self.attention_options, self.attention)


class Budget(_Section):
    """How long to train."""

    unit: Literal["epochs", "iterations"]
    amount: Count


class OptimizerOptions(_Section):
    """One sub-section an optimizer."""

    adam: AdamOptions
    adamw: AdamOptions
    sgd: SgdOptions


class ScheduleOptions(_Section):
    """One sub-section a schedule that has options."""

    step: StepOptions
    cosine: CosineOptions
    exponential: ExponentialOptions


Schedule = Literal["constant", "step", "cosine", "exponential"]


class LoopSettings(NamedTuple):
    """What the loop reads of a `Loop`; the options are those of the named optimizer and schedule."""

    budget: Budget
    batch_size: int
    optimizer: str
    optimizer_options: dict[str, Any]
    lr: float
    weight_decay: float
    schedule: str
    schedule_options: dict[str, Any]
    precision: str
    feature_cache_mb: int


class Loop(_Section):
    """The loop's settings."""

    budget: Budget
    batch_size: Count
    optimizer: Literal["adam", "adamw", "sgd"]
    optimizer_options: OptimizerOptions
    lr: Positive
    weight_decay: NotNegative
    schedule: Schedule
    schedule_options: ScheduleOptions
    precision: Literal["fp32", "bf16"]
    feature_cache_mb: Annotated[Whole, Field(ge=0)]

    def for_loop(self) -> LoopSettings:
        """Return these settings as `engine.fit` takes them."""
        options = {
            "optimizer_options": _chosen(self.optimizer_options, self.optimizer),
            "schedule_options": _chosen(self.schedule_options, self.schedule),
        }
        return LoopSettings(**{name: getattr(self, name) for name in LoopSettings._fields} | options)


class Phase(_Section):
    """A part of the budget with a freezing and a rate of its own.

    `freeze` is a strategy, or the name of the first layer that trains; `amount` is in the budget's unit.
    """

    freeze: Annotated[str, BeforeValidator(_name), Field(min_length=1)]
    amount: Count
    lr: Positive

    @model_validator(mode="after")
    def _freezes_something_definite(self) -> "Phase":
        if self.freeze in ("scratch", PHASES):
            raise ValueError(f"freeze: {self.freeze!r} is for a whole training, not for a phase; 2 trains everything")
        return self


class LrFactors(_Section):
    """What the rate is multiplied by in the pre-trained layers, in added attention and in the head."""

    backbone: Positive
    module: Positive
    head: Positive


class Train(Loop):
    """The loop's settings, and what only a target training has."""

    phases: tuple[Phase, ...]
    lr_factors: LrFactors
    batch_norm: Literal["train", "eval"]
    sampler: Literal["shuffle", "weighted"]
    class_weights: Literal["none", "balanced"]


def _by_set(strengths: object) -> object:
    """A single number is for all data sets."""
    return strengths if isinstance(strengths, dict) else {"default": strengths}


def _has_default(strengths: dict[str, float]) -> dict[str, float]:
    if "default" not in strengths:
        raise ValueError("the strength for data sets that are not named is missing; add default: ...")
    return strengths


# By data set; `default` for those that are not named.
Strengths = Annotated[
    dict[Literal["default", DataSet], NotNegative], BeforeValidator(_by_set), AfterValidator(_has_default)
]


class MethodOptions(_Section):
    """Options of every method: the optimizer's weight decay in place of `train.weight_decay`, unless it is auto."""

    weight_decay: NotNegative | Literal["auto"]


class L2FeOptions(MethodOptions):
    """Budget and schedule of a training of the head alone, in place of those in `train`, unless they are auto."""

    budget: Budget | Literal["auto"]
    schedule: Schedule | Literal["auto"]


class PenaltyOptions(MethodOptions):
    """Strengths: `alpha` of staying near the source, `beta` of the head's decay."""

    alpha: Strengths
    beta: NotNegative


class L2SpOptions(PenaltyOptions):
    """Which pre-trained values are held."""

    covers: Literal["kernels", "all"]


class PositionOptions(PenaltyOptions):
    """The scale of weights over positions or over the channels of all taps."""

    normalize: Literal["mean_one", "raw"]


class ChannelOptions(PenaltyOptions):
    """The scale of weights over one tap's channels."""

    normalize: Literal["mean_one", "raw", "delta"]


class DeltaOptions(ChannelOptions):
    """On how many training batches the channels are weighed, and how many filters are tried at a time."""

    batches: Count
    filters_at_once: Count


class SpaOptions(PositionOptions):
    """Whether the target's maps are read without gradient for the weights."""

    detach_attention_input: bool


class GcaOptions(PositionOptions):
    """The hidden units are 1 / `reduction` of the channels."""

    reduction: Count


class AfaOptions(MethodOptions):
    """The halves' options are those of `ast` and `act`."""

    order: Literal["ast_act"]


class SpaGcaOptions(MethodOptions):
    """Which half is first; their options are those of `spa` and `gca`."""

    order: Literal["spa_gca", "gca_spa"]


class RegularizerOptions(_Section):
    """One sub-section a method."""

    l2: MethodOptions
    l2_fe: L2FeOptions
    l2_sp: L2SpOptions
    delta: DeltaOptions
    ast: PositionOptions
    act: ChannelOptions
    afa: AfaOptions
    spa: SpaOptions
    gca: GcaOptions
    spa_gca: SpaGcaOptions


class Regularizer(_Section):
    """What is added to the cross entropy, or done in its place, to stay near the pre-trained network."""

    method: RegularizerName
    method_options: RegularizerOptions

    def halves(self) -> tuple[str, ...]:
        """The methods, one after the other, that the chosen one stands for."""
        if self.method not in HALVES:
            return (self.method,)
        return HALVES[self.method][getattr(self.method_options, self.method).order]

    def options(self, method: str, *, data: str) -> dict[str, Any]:
        """A single method's own options, the strength that of this data set; without what is the loop's."""
        own = _chosen(self.method_options, method)
        if "alpha" in own:
            own["alpha"] = own["alpha"][_named_or_default(own["alpha"], data)]
        return {name: value for name, value in own.items() if name not in TRAIN_OVERRIDES}


# What a regularizer's own section may say in place of `train`.
TRAIN_OVERRIDES = ("weight_decay", "budget", "schedule")


def _named_or_default(strengths: Mapping[str, float], data: str) -> str:
    return data if data in strengths else "default"


class Paper(_Section):
    """A whole recipe: one section of `papers`. `per_data` says what is different for a data set."""

    data: Data
    network: Network
    train: Train
    regularizer: Regularizer
    per_data: dict[DataSet, dict[str, Any]]

    @model_validator(mode="after")
    def _differences_are_valid(self) -> "Paper":
        for name, changes in self.per_data.items():
            unknown = [section for section in changes if section not in PER_DATA_SECTIONS]
            if unknown:
                raise ValueError(
                    f"per_data.{name}: {unknown[0]!r} cannot differ; known: {', '.join(PER_DATA_SECTIONS)}"
                )
            data = changes.get("data")
            if isinstance(data, Mapping) and "set" in data:
                raise ValueError(f"per_data.{name}.data.set: what the difference is for cannot itself differ")
            try:
                self.for_data(name)
            except ValidationError as error:
                first = error.errors()[0]
                problem = dict(first) | {"loc": ("papers", name, *first["loc"])}
                told = _tell(problem, {"papers": {name: merged(self.model_dump(), changes)}})
                raise ValueError(told.replace(f"papers.{name}", f"per_data.{name}")) from None
        return self

    def for_data(self, name: str) -> "Paper":
        """The recipe for this data set, with nothing left that could differ."""
        return Paper.model_validate(merged(self.model_dump(), self.differences(name)) | {"per_data": {}})

    def differences(self, name: str) -> dict[str, Any]:
        """What is different for this data set."""
        return {str(known): changes for known, changes in self.per_data.items()}.get(name, {})


PER_DATA_SECTIONS = ("data", "network", "train", "regularizer")


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values with others put in.

    >>> merged({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
    {'a': {'b': 3, 'c': 2}}
    """
    put = dict(values)
    for key, value in changes.items():
        inside = values.get(key)
        both = isinstance(value, Mapping) and isinstance(inside, Mapping)
        put[key] = merged(inside, value) if both else value  # type: ignore[arg-type]  # both are mappings
    return put


class Synthetic(_Section):
    """The drawn target set."""

    images_per_class: Annotated[Whole, Field(ge=4)]
    size: Annotated[Whole, Field(ge=32, le=512)]
    seed: Seed


class SyntheticSource(_Section):
    """The drawn source domain, and how a network is trained on it from random values."""

    images: Annotated[Whole, Field(ge=100)]
    image_size: Annotated[Whole, Field(ge=48, le=512)]
    seed: Seed
    train: Loop


class Part(NamedTuple):
    """A part of a training.

    Attributes:
        freeze: a strategy or the name of the first layer that trains.
        amount: in the budget's unit.
        lr: the first rate of the schedule that the part is in.
        regularizer: the method.
        continues: whether the part before has the same schedule, which goes on.
    """

    freeze: str
    amount: int
    lr: float
    regularizer: str
    continues: bool = False


class Experiment(NamedTuple):
    """One paper's recipe with the axes put in.

    Attributes:
        paper: the section's name.
        settings: its values after the axes.
        origins: for every value, by its dotted name in `settings`, the key of params.yaml that it came from.
    """

    paper: str
    settings: Paper
    origins: dict[str, str]

    def recipe(self) -> dict[str, Any]:
        """The values that count, as nested plain data: options of choices that were not taken are left out."""
        regularizer = self.settings.regularizer
        found = only_chosen(self.settings.model_dump(mode="json", exclude={"per_data"}))
        options = found["regularizer"].pop("method_options", {})
        if regularizer.method in HALVES or "alpha" in options.get(regularizer.method, {}):
            halves = {name: regularizer.options(name, data=self.settings.data.set) for name in regularizer.halves()}
            options[regularizer.method] |= halves.pop(regularizer.method, {})
            options |= halves
        if regularizer.method == "delta":
            # Its channels are weighed on a head that is trained as l2_fe trains one.
            options["l2_fe"] = regularizer.method_options.l2_fe.model_dump(mode="json")
        if options:
            found["regularizer"]["method_options"] = options
        return found

    def origin(self, name: str) -> str:
        """The key of params.yaml that a value of the recipe came from."""
        if name not in self.origins and name.endswith(".alpha"):
            *_, method, _ = name.split(".")
            strengths = getattr(self.settings.regularizer.method_options, method).alpha
            return self.origins[f"{name}.{_named_or_default(strengths, self.settings.data.set)}"]
        return self.origins[name]

    def parts(self) -> tuple[Part, ...]:
        """The parts of the training in order: phases, halves, or one."""
        train, freeze, halves = self.settings.train, self.settings.network.freeze, self.settings.regularizer.halves()
        if train.phases:
            return tuple(Part(phase.freeze, phase.amount, phase.lr, halves[0]) for phase in train.phases)
        if len(halves) == 1:
            return (Part(freeze, train.budget.amount, train.lr, halves[0]),)
        first = train.budget.amount // 2
        return (
            Part(freeze, first, train.lr, halves[0]),
            Part(freeze, train.budget.amount - first, train.lr, halves[1], continues=True),
        )


class Params(_Section):
    """The whole of params.yaml."""

    paper: str
    data: DataSet | Literal["auto"]
    folder: Annotated[str, Field(min_length=1)]
    archive: Annotated[str, Field(min_length=1)]
    backbone: Backbone | Literal["auto"]
    weights: Weights | Literal["auto"]
    weights_file: Annotated[str, Field(min_length=1)]
    freeze: Annotated[Strategy | Literal["auto"], BeforeValidator(_name)]
    attention: Attention | Literal["auto"]
    regularizer: RegularizerName | Literal["auto"]
    repeats: Annotated[tuple[Seed, ...], Field(min_length=1)]
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
    threads: Count | Literal["auto"]
    synthetic: Synthetic
    synthetic_source: SyntheticSource
    papers: dict[str, Paper]

    @model_validator(mode="after")
    def _is_consistent(self) -> "Params":
        if self.paper not in self.papers:
            raise ValueError(f"paper: {self.paper!r} has no section; known: {', '.join(self.papers)}")
        if len(set(self.repeats)) < len(self.repeats):
            raise ValueError(f"repeats: {list(self.repeats)} names one twice; each repeat needs its own number")
        self._check_regularizer()
        self._check_phases()
        return self

    def _check_regularizer(self) -> None:
        """A method that divides the budget, freezes, or holds what is pre-trained allows no other word on that."""
        settings = self.experiment().settings
        method, key = settings.regularizer.method, f"papers.{self.paper}.train"
        if method == "l2_fe" and self.freeze not in (AUTO, "1"):
            raise ValueError(
                f"freeze: {self.freeze!r} and regularizer 'l2_fe', which trains the head alone, exclude each other; "
                "leave freeze at auto"
            )
        if (method == "l2_fe" or method in HALVES) and settings.train.phases:
            strategy = "" if method == "l2_fe" else " and -S freeze=2 (or another strategy)"
            raise ValueError(
                f"regularizer: {method!r} and {key}.phases both say how the training goes on; "
                f"add -S '{key}.phases=[]'{strategy}, or choose another method"
            )
        if method in HALVES and settings.train.budget.amount < 2:
            raise ValueError(
                f"{key}.budget.amount: 1 cannot be halved, as regularizer {method!r} needs; give 2 or more"
            )
        if method not in WITHOUT_SOURCE and settings.network.freeze == "scratch":
            raise ValueError(
                f"freeze: 'scratch' has nothing pre-trained that regularizer {method!r} could stay near; "
                f"choose another strategy, or regularizer none"
            )

    def _check_phases(self) -> None:
        """Phases say what is frozen, how long and at which rate; nothing beside them may say otherwise."""
        key, settings = f"papers.{self.paper}.train", self.experiment().settings
        network, train = settings.network, settings.train
        if not train.phases:
            if network.freeze == PHASES:
                raise ValueError(f"freeze: {PHASES!r} needs phases, and {key}.phases is empty; choose a strategy")
            return
        if network.freeze != PHASES:
            raise ValueError(
                f"freeze: {network.freeze!r} and {key}.phases both say what is frozen; leave freeze at auto, "
                f"or add -S '{key}.phases=[]'"
            )
        amounts = [phase.amount for phase in train.phases]
        if sum(amounts) != train.budget.amount:
            raise ValueError(
                f"{key}.budget.amount: {train.budget.amount} is not the sum of its phases' {amounts}; "
                f"set all, as in -S {key}.phases.0.amount={amounts[0]}"
            )
        if train.lr != train.phases[0].lr:
            raise ValueError(f"{key}.lr: {train.lr} is not the first phase's {train.phases[0].lr}; set both")

    def place_of(self, key: Literal["archive", "folder"] | None) -> str | None:
        """Return where the user's own files of a set are; None where no place is named or the set has no such key."""
        if key is None:
            return None
        place: str = getattr(self, key)
        return None if key == "archive" and Path(place) == paths.NO_ARCHIVE else place

    def experiment(self) -> Experiment:
        """The chosen paper's recipe: what differs for the data set, then every axis that is not `auto` put in."""
        paper = self.papers[self.paper]
        chosen_set = paper.data.set if self.data == AUTO else self.data
        values = paper.for_data(chosen_set).model_dump()
        origins = {name: f"papers.{self.paper}.{name}" for name, _ in flat(values)}
        differing = paper.differences(chosen_set)
        origins |= {name: f"papers.{self.paper}.per_data.{chosen_set}.{name}" for name, _ in flat(differing)}
        for axis, (section, key) in AXES.items():
            chosen = getattr(self, axis)
            if chosen != AUTO:
                values[section][key] = chosen
                origins[f"{section}.{key}"] = axis
        _let_the_method_decide(values, origins)
        sizes = self.papers[self.paper].for_data(chosen_set).data.sizes()
        values["data"] |= {"crop_size": sizes.crop, "input_size": sizes.input}
        return Experiment(self.paper, Paper.model_validate(values), origins)


def _let_the_method_decide(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Put in what the chosen regularizer says in place of `train`, and that l2_fe is strategy 1."""
    method = values["regularizer"]["method"]
    own = values["regularizer"]["method_options"].get(method, {})
    for key in TRAIN_OVERRIDES:
        if own.get(key, AUTO) != AUTO:
            values["train"][key] = own[key]
            here, there = f"train.{key}", f"regularizer.method_options.{method}.{key}"
            nested = [name.removeprefix(there) for name in origins if name == there or name.startswith(f"{there}.")]
            origins |= {f"{here}{rest}": origins[f"{there}{rest}"] for rest in nested}
    if method == "l2_fe" and not values["train"]["phases"]:
        values["network"]["freeze"] = "1"
        origins["network.freeze"] = origins["regularizer.method"]


AXES = {
    "data": ("data", "set"),
    "backbone": ("network", "backbone"),
    "weights": ("network", "weights"),
    "freeze": ("network", "freeze"),
    "attention": ("network", "attention"),
    "regularizer": ("regularizer", "method"),
}


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings with their dotted names.

    >>> list(flat({"a": {"b": 1}, "c": 2}))
    [('a.b', 1), ('c', 2)]
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def only_chosen(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values without the options of choices that were not taken.

    >>> only_chosen({"head": "a", "head_options": {"a": {"x": 1}, "b": {"y": 2}}})
    {'head': 'a', 'head_options': {'a': {'x': 1}}}
    """
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if not key.endswith("_options"):
            kept[key] = only_chosen(value) if isinstance(value, Mapping) else value
        elif (choice := values[key.removesuffix("_options")]) in value:
            kept[key] = {choice: value[choice]}
    return kept


def load(path: Path, *, name: str = "params.yaml") -> Params:
    """Read and check params.yaml.

    Args:
        path: the file.
        name: what to call it in messages.

    Raises:
        InputError: naming the key, its value and what would do.
    """
    return check(raw(path, name=name), name)


def raw(path: Path, *, name: str = "params.yaml") -> Any:
    """Return the values of the file, unchecked.

    Raises:
        InputError: if it is not there, or not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{name}: no such file; run this in the project's root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: not YAML: {error}") from None


def check(values: object, name: str = "params.yaml") -> Params:
    """Check values as read from params.yaml.

    Raises:
        InputError: in one line, for the first thing that is wrong and how many more there are.
    """
    if not isinstance(values, dict):
        raise InputError(f"{name}: a mapping of keys is needed, found {type(values).__name__}")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        # Each branch of a union says its own: of one place the first counts, but for that no section was given.
        problems = error.errors()[::-1]
        problems.sort(key=lambda p: p["type"] != "model_type")
        by_place = {_location(p["loc"], values): dict(p) for p in problems}
        inner = [p for place, p in by_place.items() if not _is_around(place, by_place)]
        told = [_tell(problem, values) for problem in inner][::-1]
        more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
        raise InputError(f"{name}: {told[0]}{more}") from None


def _is_around(place: tuple[str | int, ...], others: Iterable[tuple[str | int, ...]]) -> bool:
    """Whether another place is inside this one, and says more."""
    return any(len(other) > len(place) and other[: len(place)] == place for other in others)


def _tell(problem: dict[str, Any], values: dict[str, Any]) -> str:
    where = _location(problem["loc"], values)
    name, given = ".".join(map(str, where)), problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"unknown key {name!r}{_hint(where)}"
    if problem["type"] == "missing":
        return f"key {name!r} is missing"
    if problem["type"] == "literal_error":
        known = _known(where[0]) if len(where) == 1 else _listed(problem["ctx"]["expected"])
        return f"{name}: {given!r} is not one of {known}"
    message = PLAIN.get(problem["type"], str(problem["msg"])).removeprefix("Value error, ")
    message = message.removeprefix("Input ")
    if isinstance(given, dict) and problem["type"] == "value_error":
        return f"{name}: {message}" if name else message
    return f"{name}: {given!r}: {message}" if name else message


PLAIN = {
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "int_type": "a whole number is needed",
    "float_parsing": "a number is needed",
    "float_type": "a number is needed",
    "finite_number": "a finite number is needed",
    "model_type": "the keys of this section are needed",
    "dict_type": "the keys of this section are needed",
    "tuple_type": "a list is needed, such as [1]",
    "too_short": "needs at least one entry",
    "string_pattern_mismatch": "is not one of auto, cuda, cuda:0, cuda:1 ..., mps, cpu",
    "string_too_short": "may not be empty",
    "string_type": "text is needed",
}


def _location(loc: tuple[str | int, ...], values: Any) -> tuple[str | int, ...]:
    """Pydantic adds the name of a union's branch, at the end or in front of a key; keep what is in the file."""
    kept: list[str | int] = []
    for place, part in enumerate(loc, start=1):
        inside = isinstance(values, dict) or (isinstance(values, list) and isinstance(part, int))
        if not inside:
            break
        if isinstance(values, dict) and part not in values and (place < len(loc) or "[" in str(part)):
            continue
        kept.append(part)
        values = values.get(part) if isinstance(values, dict) else values[int(part)]
    return tuple(kept)


def _known(axis: str | int) -> str:
    section, key = AXES.get(str(axis), ("", ""))
    if not section:
        return "auto or a whole number above 0"
    field: Any = Paper.model_fields[section].annotation
    return ", ".join([AUTO, *get_args(field.model_fields[key].annotation)])


def _listed(expected: str) -> str:
    """Pydantic's `'a', 'b' or 'c'` without its quotes."""
    return expected.replace("'", "").replace(" or ", ", ")


def _hint(where: tuple[str | int, ...]) -> str:
    model: Any = Params
    for part in where[:-1]:
        model = Paper if model is Params and part == "papers" else model
        if model is Paper and part not in Paper.model_fields:
            continue
        annotation = model.model_fields[str(part)].annotation
        branches = (annotation, *get_args(annotation))
        model = next(one for one in branches if isinstance(one, type) and issubclass(one, BaseModel))
    known = list(model.model_fields)
    near = difflib.get_close_matches(str(where[-1]), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"
