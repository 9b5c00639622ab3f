"""Types of settings: numbers within a range, and the base of every section."""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    model_validator,
)


class Section(BaseModel):
    """Settings that belong together: frozen, and with no key but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a file that this program wrote: its key and what pydantic says of it."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


def as_text(value: object) -> object:
    """Return a whole number as text: YAML reads `freeze: 1` as a number, and names are text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd number is needed, so that the map keeps its size")
    return value


Name = Annotated[str, BeforeValidator(as_text), Field(min_length=1)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_number)]
Positive = Annotated[Real, Field(gt=0)]
NotNegative = Annotated[Real, Field(ge=0)]
Count = Annotated[Whole, Field(ge=1)]
# The longest trainings, in steps and in epochs; the papers' have 30,000 steps.
Amount = Annotated[Count, Field(le=10_000_000)]
MOST_EPOCHS = 100_000
Threads = Annotated[Count, Field(le=1024)]
# Up to a week.
Minutes = Annotated[NotNegative, Field(le=10_080)]
ImagesPerClass = Annotated[Whole, Field(ge=0, le=1_000_000)]
BatchSize = Annotated[Count, Field(le=65_536)]
LearningRate = Annotated[Positive, Field(le=1000)]
# Of a term of the loss, of its decay, of a factor.
Strength = Annotated[NotNegative, Field(le=1_000_000)]
Factor = Annotated[Positive, Field(le=1_000_000)]
# By which channels are divided.
Reduction = Annotated[Count, Field(le=4096)]
Seed = Annotated[Whole, Field(ge=0, lt=2**32)]
# The number of a repeat, which DVC reads as it is written: neither '01' nor 1.0 is one.
RepeatNumber = Annotated[Seed, Strict()]
Repeats = Annotated[tuple[RepeatNumber, ...], Field(min_length=1, max_length=1000)]
# From 0 up to, but without, 1.
Rate = Annotated[Real, Field(ge=0, lt=1)]
# Between 0 and 1, both excluded.
Fraction = Annotated[Real, Field(gt=0, lt=1)]
Degrees = Annotated[Real, Field(ge=0, le=180)]
# The side of a convolution's kernel.
Kernel = Annotated[Whole, Field(ge=1, le=31), AfterValidator(_odd)]


class Budget(Section):
    """The length of a training."""

    unit: Literal["epochs", "iterations"]
    amount: Amount

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.unit == "epochs" and self.amount > MOST_EPOCHS:
            raise ValueError(f"{self.amount} epochs; at most {MOST_EPOCHS} are possible, or give iterations")
        return self


class PerClass(Section):
    """Images drawn of every class for each part; 0 takes the whole part of a set that has parts of its own."""

    train: ImagesPerClass
    test: ImagesPerClass
    val: ImagesPerClass
