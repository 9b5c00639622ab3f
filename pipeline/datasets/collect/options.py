"""Options of the data sets."""

from typing import Annotated

from pydantic import Field

from pipeline.core.types import Section, Seed, Whole


class SyntheticOptions(Section):
    """The number of drawings per class, their side in pixels, and the seed of all."""

    images_per_class: Annotated[Whole, Field(ge=4, le=10_000)]
    size: Annotated[Whole, Field(ge=32, le=512)]
    seed: Seed
