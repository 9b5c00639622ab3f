"""The table of augmentations of training images; it imports no torch.

With the augmentation `none`, the random crop alone varies training images, if there is one.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from pipeline.core.choices import Choice
from pipeline.core.types import Degrees, Rate, Real, Section

NO_AUGMENTATION = "none"


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


@dataclass(frozen=True, kw_only=True)
class AugmentationChoice(Choice):
    """One augmentation.

    Attributes:
        make: "module:function", which takes the options by keyword and returns the operations in order.
    """

    make: str


AUGMENTATIONS: dict[str, AugmentationChoice] = {
    "flip": AugmentationChoice(
        title="a horizontal flip",
        description="every second image is mirrored",
        make="pipeline.datasets.transforms.image_transform:flip",
    ),
    "csca": AugmentationChoice(
        title="color jitter, flip and rotation",
        description="CSCA's: color jitter, flip and rotation, in the order in which the paper names them",
        options=CscaAugmentation,
        make="pipeline.datasets.transforms.image_transform:csca",
    ),
    "hierarchical": AugmentationChoice(
        title="flip, rotation, scaling and color jitter",
        description="the hierarchical paper's: flip, rotation, scaling, color jitter; its padded crop is crop_padding",
        options=HierarchicalAugmentation,
        make="pipeline.datasets.transforms.image_transform:hierarchical",
    ),
    "animals": AugmentationChoice(
        title="flip, translation, rotation, scaling and a crop of varying proportions",
        description="the animals paper's: flip, translation, rotation, scaling and a crop of varying proportions",
        options=AnimalsAugmentation,
        make="pipeline.datasets.transforms.image_transform:animals",
    ),
}
