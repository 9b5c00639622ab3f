"""JSON files of records: the number of their format, and what is said of a file that cannot be read."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, PlainSerializer, SerializerFunctionWrapHandler, ValidationError, model_serializer

from pipeline.core.errors import AGAIN, InputError
from pipeline.core.files import as_json
from pipeline.core.types import Section, first_problem

# Of all such files; another number where a key is added, dropped or means something else.
FORMAT: Literal[4] = 4

Moment = Annotated[
    AwareDatetime, PlainSerializer(lambda moment: moment.isoformat(timespec="seconds"), when_used="json")
]


class Sparse(Section):
    """A section that leaves out keys whose value is None."""

    @model_serializer(mode="wrap")
    def _without_none(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}


class RecordFile(Section):
    """A JSON file that begins with the number of its format."""

    format: Literal[4] = FORMAT

    @classmethod
    def parse(cls, content: bytes, place: Path, again: str = AGAIN) -> Self:
        """Check the content of a file.

        Args:
            content: JSON.
            place: where it is from, for messages.
            again: the way out, for messages.

        Raises:
            InputError: for a file of another format, or one that is damaged.
        """
        try:
            values = json.loads(content)
        except ValueError as error:
            raise InputError(f"{place}: not JSON: {error}; {again}") from None
        number = values.get("format") if isinstance(values, dict) else None
        if number != FORMAT:
            known = "no format" if number is None else f"format {number}"
            raise InputError(f"{place}: has {known}, but this version reads format {FORMAT}; {again}")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(f"{place}: {first_problem(error)}; {again}") from None

    def dumped(self) -> str:
        """Return readable JSON, the same for the same values."""
        return as_json(self.model_dump(mode="json"))

    def write(self, file: Path) -> None:
        """Write the file whole."""
        file.write_text(self.dumped(), encoding="utf-8")
