"""Options of the heads; imports no torch."""

from pipeline.core.types import Rate, Section


class Dropout(Section):
    """Options of a head with dropout."""

    dropout: Rate
