"""Types of options that are numbers."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A range of numbers without `nan`, which is outside no range for click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number.

        Raises:
            click.BadParameter: for what is none, or is not in the range.
        """
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number
