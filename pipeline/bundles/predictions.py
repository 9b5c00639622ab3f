"""Predictions of images and how they are written: the one place that names their columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.core.files import as_cell
from pipeline.evaluation.uncertainty.conformal import LEVELS
from pipeline.evaluation.uncertainty.judging import Judgment

# As in the predictions.csv of `evaluate`.
DIGITS = 6
# The prediction sets that are written, by their level in percent, and what else is said of doubt.
SETS = tuple(round(100 * level) for level in LEVELS)
DOUBT = ("ask", "strange", "distance", "energy")
# Between the classes of a set in a cell.
BETWEEN = "; "


class Guess(NamedTuple):
    """A class and its probability."""

    label: str
    probability: float


class Doubt(NamedTuple):
    """How sure the prediction of an image is.

    Attributes:
        sets: the classes of each prediction set, by its level in percent; none without calibration.
        ask: whether a person should look.
        strange: whether the image is unlike those of the training.
        distance: to the nearest training image, in features; larger is stranger.
        energy: of the scores; larger is stranger.
    """

    sets: dict[int, tuple[str, ...]]
    ask: bool
    strange: bool
    distance: float
    energy: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Prediction of one file.

    Attributes:
        path: as it was given, or found in a folder that was given.
        top: the most probable classes, the first of them predicted; empty for a file that cannot be used.
        doubt: how sure that is; None where the bundle has nothing to tell it by, as an ensemble.
        error: why the file cannot be used; "" of an image.
    """

    path: str
    top: tuple[Guess, ...] = ()
    doubt: Doubt | None = None
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
    return ["path", "class", "probability", *others, *(f"set_{level}" for level in SETS), *DOUBT, "error"]


def cells(one: Prediction, top: int) -> list[Any]:
    """Return a row of that table, as a spreadsheet may open it; without a class for a file that cannot be used."""
    guesses: list[Any] = [value for guess in one.top for value in (as_cell(guess.label), _digits(guess.probability))]
    missing = [""] * (2 * top - len(guesses))
    return [as_cell(one.path), *guesses, *missing, *_doubt_cells(one.doubt), as_cell(one.error)]


def _doubt_cells(doubt: Doubt | None) -> list[Any]:
    if doubt is None:
        return [""] * (len(SETS) + len(DOUBT))
    sets = [as_cell(BETWEEN.join(doubt.sets.get(level, ()))) for level in SETS]
    return [*sets, int(doubt.ask), int(doubt.strange), _digits(doubt.distance), _digits(doubt.energy)]


def as_object(one: Prediction) -> dict[str, Any]:
    """Return the same for JSON, where what is not known is null."""
    return {
        "path": one.path,
        "class": one.label if one.top else None,
        "probability": round(one.probability, DIGITS) if one.top else None,
        "top": [{"class": label, "probability": round(probability, DIGITS)} for label, probability in one.top],
        **_doubt_object(one.doubt),
        "error": one.error or None,
    }


def _doubt_object(doubt: Doubt | None) -> dict[str, Any]:
    if doubt is None:
        return dict.fromkeys([*(f"set_{level}" for level in SETS), *DOUBT])
    sets = {f"set_{level}": list(doubt.sets[level]) if level in doubt.sets else None for level in SETS}
    scores = {"distance": round(doubt.distance, DIGITS), "energy": round(doubt.energy, DIGITS)}
    return sets | {"ask": doubt.ask, "strange": doubt.strange} | scores


def doubts(judgment: Judgment, classes: Sequence[str]) -> list[Doubt]:
    """Return how sure each of n predictions is.

    Args:
        judgment: of n images, with their strangeness.
        classes: the K names.
    """
    assert judgment.strangeness is not None  # A bundle that judges has the features to tell it by.
    sets = {round(100 * level): members for level, members in judgment.sets.items()}
    return [
        Doubt(
            {level: tuple(classes[place] for place in members[row].nonzero()[0]) for level, members in sets.items()},
            bool(judgment.ask[row]),
            bool(judgment.strangeness.strange[row]),
            float(judgment.strangeness.distance[row]),
            float(judgment.strangeness.energy[row]),
        )
        for row in range(len(judgment.ask))
    ]


def most_probable(classes: Sequence[str], probabilities: Sequence[float], top: int) -> tuple[Guess, ...]:
    """Return the most probable classes in falling order; of equal ones the first class is the first.

    >>> most_probable(["a", "b", "c"], [0.25, 0.5, 0.25], 2)
    (Guess(label='b', probability=0.5), Guess(label='a', probability=0.25))
    """
    places = sorted(range(len(classes)), key=lambda place: -probabilities[place])
    return tuple(Guess(classes[place], probabilities[place]) for place in places[:top])


def _digits(probability: float) -> str:
    return f"{probability:.{DIGITS}f}"
