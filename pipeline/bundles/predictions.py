"""What `predict` says of an image, and how that is written: the one place that names its columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.core.files import as_cell

# As in the predictions.csv of `evaluate`.
DIGITS = 6


class Guess(NamedTuple):
    """A class and its probability."""

    label: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is said of one file.

    Attributes:
        path: as it was given, or found in a folder that was given.
        top: the most probable classes, the first of them predicted; empty for a file that cannot be used.
        error: why the file cannot be used; "" of an image.
    """

    path: str
    top: tuple[Guess, ...] = ()
    error: str = ""

    @property
    def label(self) -> str:
        """The predicted class."""
        return self.top[0].label

    @property
    def probability(self) -> float:
        """The probability of the predicted class."""
        return self.top[0].probability


def columns(top: int) -> list[str]:
    """Return the columns of a table with so many classes an image."""
    others = (f"{name}_{place}" for place in range(2, top + 1) for name in ("class", "probability"))
    return ["path", "class", "probability", *others, "error"]


def cells(one: Prediction, top: int) -> list[Any]:
    """Return a row of that table, as a spreadsheet may open it; without a class for a file that cannot be used."""
    guesses: list[Any] = [value for guess in one.top for value in (as_cell(guess.label), _digits(guess.probability))]
    missing = [""] * (2 * top - len(guesses))
    return [as_cell(one.path), *guesses, *missing, as_cell(one.error)]


def as_object(one: Prediction) -> dict[str, Any]:
    """Return the same for JSON, where what is not known is null."""
    return {
        "path": one.path,
        "class": one.label if one.top else None,
        "probability": round(one.probability, DIGITS) if one.top else None,
        "top": [{"class": label, "probability": round(probability, DIGITS)} for label, probability in one.top],
        "error": one.error or None,
    }


def most_probable(classes: Sequence[str], probabilities: Sequence[float], top: int) -> tuple[Guess, ...]:
    """Return the most probable classes in falling order; of equal ones the first class is the first.

    >>> most_probable(["a", "b", "c"], [0.25, 0.5, 0.25], 2)
    (Guess(label='b', probability=0.5), Guess(label='a', probability=0.25))
    """
    places = sorted(range(len(classes)), key=lambda place: -probabilities[place])
    return tuple(Guess(classes[place], probabilities[place]) for place in places[:top])


def _digits(probability: float) -> str:
    return f"{probability:.{DIGITS}f}"
