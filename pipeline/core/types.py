"""Types of settings: numbers within a range, and the base of every section."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """Settings that belong together: frozen, and with no key but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


def _name(value: object) -> object:
    """Return a whole number as text: YAML reads `freeze: 1` as a number, and names are text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd number is needed, so that the map keeps its size")
    return value


Name = Annotated[str, BeforeValidator(_name), Field(min_length=1)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_number)]
Positive = Annotated[Real, Field(gt=0)]
NotNegative = Annotated[Real, Field(ge=0)]
Count = Annotated[Whole, Field(ge=1)]
Seed = Annotated[Whole, Field(ge=0, lt=2**32)]
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
    amount: Count
