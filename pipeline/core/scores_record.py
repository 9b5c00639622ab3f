"""The file scores.json, in which `evaluate` records what a repeat's network reached on the test part."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, SerializerFunctionWrapHandler, model_serializer

from pipeline.core.record_file import RecordFile
from pipeline.core.types import Count, Section, Whole


class ClassScores(Section):
    """Scores of one class, 0..1, and its test images."""

    precision: float
    recall: float
    f1: float
    support: Whole


class ReliabilityBin(Section):
    """Predictions of a confidence in (low, high]: how many, their mean confidence and accuracy."""

    low: float
    high: float
    images: Whole
    confidence: float
    accuracy: float


class Scores(RecordFile):
    """scores.json: each score by its name in `evaluation.scores.SCORES`, and what they are made of.

    Attributes:
        classes: scores of each class.
        confusion: images by actual (rows) and predicted class.
        reliability: the bins of the confidence that hold images.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    test_images: Count
    classes: Mapping[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]

    @property
    def by_name(self) -> Mapping[str, float]:
        """The scores of the whole test part, as far as they apply."""
        return self.__pydantic_extra__

    @property
    def accuracy(self) -> float:
        """The part of the test images whose class is the prediction."""
        return self.by_name["accuracy"]

    @model_serializer(mode="wrap")
    def _scores_first(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = dump(self)
        return {"format": values.pop("format"), **self.by_name, **values}
