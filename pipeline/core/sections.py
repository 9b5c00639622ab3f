"""The sections of a resolved recipe, with the types of their values."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from pipeline.core.imagenet import MEAN, STD
from pipeline.core.interpolation import BILINEAR, Interpolation
from pipeline.core.precision import Precision
from pipeline.core.types import (
    MOST_EPOCHS,
    Amount,
    BatchSize,
    Budget,
    Factor,
    Fraction,
    LearningRate,
    Name,
    NotNegative,
    PerClass,
    Positive,
    Rate,
    Real,
    RepeatNumber,
    Section,
    Seed,
    Strength,
    Whole,
)

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
