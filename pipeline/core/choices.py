"""Tables of choices: what one key of a recipe may be, a row each, without importing what the row stands for."""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.core.errors import InputError

if TYPE_CHECKING:
    from pipeline.core.types import Section

# The choice of nothing.
NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One row of a table; its key in the table is the name that users write.

    Attributes:
        title: what it is called on pages, within a sentence.
        description: one line for `orbweaver describe --choices` and the reference page.
        options: "module:Class" of its section below `options` in params.yaml; empty where it has none. By name, so that
            a network is built and an image transformed where pydantic is not installed.
    """

    title: str
    description: str
    options: str = ""

    @property
    def options_type(self) -> "type[Section] | None":
        """The type of its section; reading this imports pydantic."""
        options: type[Section] | None = load(self.options) if self.options else None
        return options


Row = TypeVar("Row", bound=Choice)


def row(table: Mapping[str, Row], name: str, *, key: str) -> Row:
    """Return the row of this name.

    Args:
        table: rows by name.
        name: as a user writes it.
        key: the setting, for the message.

    Raises:
        InputError: for an unknown name, listing the known ones.
    """
    try:
        return table[name]
    except KeyError:
        raise InputError(f"{key}: {name!r} is not known; known: {', '.join(table)}") from None


def load(reference: str) -> Any:
    """Import what a row names as "package.module:attribute".

    Raises:
        InputError: for a module of ours that is not there.

    >>> load("pipeline.core.choices:Choice").__name__
    'Choice'
    """
    try:
        return pkgutil.resolve_name(reference)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("pipeline."):
            raise
        raise InputError(
            f"{reference}: no module {error.name}; write it, or `git add` it: experiments of a study run in copies of "
            "what git tracks"
        ) from None
