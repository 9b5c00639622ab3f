"""Tables of choices: what one key of a recipe may be, a row each, without importing what the row stands for."""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.core.errors import InputError
from pipeline.core.types import Section


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One row of a table; its key in the table is the name that users write.

    Attributes:
        title: what it is called on pages, within a sentence.
        description: one line for `orbweaver describe --choices` and the reference page.
        options: the type of its section below `options` in params.yaml; None where it has none.
    """

    title: str
    description: str
    options: type[Section] | None = None


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

    >>> load("pipeline.core.choices:Choice").__name__
    'Choice'
    """
    return pkgutil.resolve_name(reference)
