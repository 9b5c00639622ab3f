"""Options of the augmentations; imports no torch."""

from typing import Annotated

from pydantic import Field

from pipeline.core.types import Count, Degrees, Rate, Real, Section, Whole


class CscaAugmentation(Section):
    """Largest changes of color as fractions, and largest rotation in degrees, besides a flip."""

    brightness: Rate
    contrast: Rate
    saturation: Rate
    hue: Annotated[Real, Field(ge=0, le=0.5)]
    rotation: Degrees


class HierarchicalAugmentation(CscaAugmentation):
    """Largest changes of color and scale as fractions, and largest rotation in degrees, besides a flip."""

    scale: Rate


class AnimalsAugmentation(Section):
    """Largest rotation in degrees, translation and scaling as fractions, and bounds of a crop's area and aspect."""

    rotation: Degrees
    translation: Rate
    scale: Rate
    crop_scale: Annotated[Real, Field(gt=0, le=1)]
    crop_ratio: Annotated[Real, Field(ge=1, le=100)]


class RandAugment(Section):
    """Number of operations, and their strength of 0 to 30."""

    operations: Annotated[Count, Field(le=14)]
    magnitude: Annotated[Whole, Field(ge=0, le=30)]
