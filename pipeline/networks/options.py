"""Options of the strategies; imports no torch."""

from typing import Annotated

from pydantic import Field

from pipeline.core.types import Factor, Section, Whole

# A rank beyond the sides of a network's layers is refused with the network.
MOST_RANKS = 4096


class LoraOptions(Section):
    """Rank of the updates, and alpha, by which they are scaled: alpha / rank."""

    rank: Annotated[Whole, Field(ge=1, le=MOST_RANKS)]
    alpha: Factor
