"""The sources of pre-trained weights, one row each; imports no torch. The stage `source` gets the weights."""

from typing import Annotated

from pydantic import Field

from pipeline.core.choices import Choice
from pipeline.core.types import Count, Positive, Section, Seed, Whole


class SyntheticOptions(Section):
    """The synthetic source domain of drawn shapes, and the training of a network on it from random values."""

    images: Annotated[Whole, Field(ge=100)]
    image_size: Annotated[Whole, Field(ge=48, le=512)]
    seed: Seed
    epochs: Count
    batch_size: Count
    lr: Positive


WEIGHTS: dict[str, Choice] = {
    "imagenet": Choice(
        title="ImageNet's weights",
        description="torchvision's, kept in torch's own cache, the hash checked each time",
    ),
    "places365": Choice(
        title="Places365's weights",
        description="the Places365 authors', for some backbones; they publish no hash, so the file's own is recorded",
    ),
    "file": Choice(
        title="weights from a file",
        description=".safetensors, or .pth read without running code, under torchvision's names",
    ),
    "synthetic": Choice(
        title="weights from drawn shapes",
        options=SyntheticOptions,
        description="trained here on drawn shapes that are no spiders",
    ),
    "none": Choice(
        title="no pre-trained weights",
        description="random values",
    ),
}
