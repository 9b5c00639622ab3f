"""The resolved recipe: every setting of one experiment, with nothing left to decide.

The stage `validate` writes it to data/recipe.yaml, and all later stages read it from there. Its values were checked
against params.yaml's own types before, so that what is wrong here is an edited or an old file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from pipeline.core import choices, paths
from pipeline.core.errors import InputError
from pipeline.core.files import read_yaml
from pipeline.core.imagenet import MEAN, STD
from pipeline.core.interpolation import BILINEAR, Interpolation
from pipeline.core.naming import UNNAMED, Naming, Own
from pipeline.core.precision import Precision
from pipeline.core.types import (
    MOST_EPOCHS,
    Amount,
    BatchSize,
    Budget,
    Factor,
    Fraction,
    LearningRate,
    Minutes,
    Name,
    NotNegative,
    PerClass,
    Positive,
    Rate,
    Real,
    RepeatNumber,
    Repeats,
    Section,
    Seed,
    Strength,
    Threads,
    Whole,
)

# No attention, no regularizer, no augmentation, no pre-trained weights.
NONE = choices.NONE
# The freezing of a recipe whose phases each have their own.
PHASES = "phases"
# Of divisions: every repeat has one of its own.
EACH: Literal["each"] = "each"
# The smallest side that every backbone takes.
SMALLEST_INPUT = 32
Side = Annotated[Whole, Field(ge=16, le=1024)]
InputSide = Annotated[Whole, Field(ge=SMALLEST_INPUT, le=1024)]
Padding = Annotated[Whole, Field(ge=0, le=512)]
Megabytes = Annotated[Whole, Field(ge=0, le=1_048_576)]
# Of a Beta distribution.
Alpha = Annotated[Real, Field(ge=0, le=100)]
Patience = Annotated[Whole, Field(ge=0, le=MOST_EPOCHS)]
LayerDecay = Annotated[Real, Field(gt=0, le=1)]
MOST_PHASES = 100
# What becomes of the head when a phase begins.
Head = Literal["kept", "solved"]
KEPT: Head = "kept"
SOLVED: Head = "solved"
# The families of options that training reads; the other one is the data's. That of freezing is there for LoRA alone.
TRAINED_BY = ("augmentation", "freeze", "attention", "head", "optimizer", "schedule", "regularizer")


class Fractions(Section):
    """The division of a set without parts of its own; `val` is a fraction of what is left for training.

    `division` is the repeat whose division all repeats have, which then vary the seeds alone. With `inner` the training
    part is divided in place of the set. `train_fraction` is what is used of each class's training images.
    """

    test: Fraction
    val: Rate
    seed: Seed
    division: RepeatNumber | Literal["each"] = EACH
    inner: bool = False
    train_fraction: Annotated[Real, Field(gt=0, le=1)] = 1.0


class Split(Fractions):
    """The division, or the numbers of images by class that take the place of `test`."""

    per_class: PerClass | Literal["none"]


class Sizes(NamedTuple):
    """Sides in pixels: of the packed images, of the crops, and of the network's input."""

    image: int
    crop: int
    input: int


class Images(Section):
    """The images, without what depends on something else where it is `auto`."""

    set: Name
    image_size: Side
    resize: Literal["stretch", "crop"]
    crop_padding: Padding
    augmentation: Name
    duplicates: Literal["refuse", "allow"]


class Data(Images):
    """The images, and how they reach the network.

    Attributes:
        interpolation: by which photographs are resized to `image_size`; the files of versions without it were bilinear.
        mean: per channel, subtracted from images scaled to 0..1; the backbone's.
        std: per channel, by which they are divided then.
    """

    crop_size: Side
    input_size: InputSide
    on_leak: Literal["refuse", "drop", "allow"]
    split: Split
    interpolation: Interpolation = BILINEAR
    mean: tuple[NotNegative, NotNegative, NotNegative] = MEAN
    std: tuple[Positive, Positive, Positive] = STD

    @property
    def packing(self) -> str:
        """How photographs are made as large as they are packed."""
        return f"{self.resize}, {self.interpolation}"

    @property
    def sizes(self) -> Sizes:
        """The three sides together."""
        return Sizes(self.image_size, self.crop_size, self.input_size)


class Network(Section):
    """The pre-trained network, its inserted modules, and the layers that train."""

    backbone: Name
    weights: Name
    freeze: Name
    attention: Name
    head: Name


class Phase(Section):
    """A part of the budget.

    Attributes:
        freeze: a strategy, or the name of the first layer that trains.
        amount: in the budget's unit.
        lr: the first rate of the schedule that it is in; 0: nothing trains.
        regularizer: the method.
        continues: whether the schedule of the phase before goes on.
        head: `solved`: when the phase begins, the last layer becomes the logistic regression on its features.
    """

    freeze: Name
    amount: Amount
    lr: NotNegative
    regularizer: Name
    continues: bool
    head: Head = KEPT


class LrFactors(Section):
    """Factors of the learning rate in pre-trained layers, in inserted attention and in the head."""

    backbone: Factor
    attention: Factor
    head: Factor


class Loop(Section):
    """The training loop."""

    budget: Budget
    batch_size: BatchSize
    optimizer: Name
    lr: LearningRate
    weight_decay: Strength
    schedule: Name
    lr_factors: LrFactors
    layer_decay: LayerDecay = 1.0
    freeze_bn_stats: bool
    sampler: Name
    class_weights: Name
    label_smoothing: Rate = 0.0
    mixup: Alpha = 0.0
    cutmix: Alpha = 0.0
    weight_ema: Rate = 0.0
    early_stop: Patience = 0
    precision: Precision
    feature_cache_mb: Megabytes


class Train(Loop):
    """The training loop with its phases, one or more."""

    phases: Annotated[tuple[Phase, ...], Field(max_length=MOST_PHASES)]


class Regularizer(Section):
    """The term that is added to the cross entropy, or the training that takes its place."""

    method: Name


class TrainingSettings(Section):
    """Settings from which a trained network follows; `options` are those of the choices that were made, by family."""

    data: Data
    network: Network
    train: Train
    regularizer: Regularizer
    options: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @model_validator(mode="after")
    def _trains_in_phases(self) -> Self:
        if not self.train.phases:
            raise ValueError("train.phases is empty")
        return self

    @property
    def in_phases(self) -> bool:
        """Whether the recipe itself says how its phases freeze."""
        return self.network.freeze == PHASES

    def options_of(self, family: str, choice: str | None = None) -> dict[str, Any]:
        """Return the options of a choice; empty where it has none.

        Args:
            family: a key of `options`, such as "attention".
            choice: the name of the choice; by default the only one of its family.
        """
        choices = self.options.get(family, {})
        return dict(choices.get(choice, {}) if choice else next(iter(choices.values()), {}))


class Tracking(Section):
    """The content of MLflow's runs; no result follows from it.

    Attributes:
        images: whether photographs, their files' names and the places of files may be in them.
        system_metrics: whether a training's run has the load of the machine.
    """

    images: bool = False
    system_metrics: bool = False


class Recipe(TrainingSettings):
    """The settings of one experiment.

    Attributes:
        recipe: the name of its section in params.yaml.
        cite: the paper that it is from.
        repeats: the numbers of the repeats.
        device: as params.yaml has it; each stage that computes resolves `auto` itself.
        threads: likewise.
        checkpoint_every: minutes between two checkpoints of a training; 0 for only where it is asked to stop.
        mlflow: what of it is shown in MLflow.
        naming: what tells it apart for people.
        own: what the recipe says by itself; None in files of versions that did not write it.
    """

    recipe: Name
    cite: str
    repeats: Repeats
    device: Name
    threads: Threads | Literal["auto"]
    checkpoint_every: Minutes
    mlflow: Tracking = Tracking()
    naming: Naming = UNNAMED
    own: Own | None = None

    def settings(self) -> TrainingSettings:
        """Return what a trained network follows from, without the options of drawn images."""
        return TrainingSettings(
            data=self.data,
            network=self.network,
            train=self.train,
            regularizer=self.regularizer,
            options={family: self.options[family] for family in TRAINED_BY if family in self.options},
        )

    def plain(self) -> dict[str, Any]:
        """Return nested plain data, with the name and its source first."""
        values = self.model_dump(mode="json")
        return {name: values[name] for name in dict.fromkeys(("recipe", "cite", *values))}

    @classmethod
    def read(cls, file: Path = paths.RECIPE) -> "Recipe":
        """Read the resolved recipe.

        Raises:
            InputError: for a file that is missing, is not YAML, or is not a whole recipe.
        """
        try:
            return cls.model_validate(read_yaml(file))
        except FileNotFoundError:
            raise InputError(f"{file}: no such file; `dvc repro` makes it") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"{file}: {place}: {first['msg']}; `dvc repro -f validate` writes it anew") from None
