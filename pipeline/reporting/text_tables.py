"""Tables and sentences as text, for a terminal; what goes to a file or another program is not fitted to a width."""

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.core.text_width import columns, padded

# Its imports take a third of a second, which a line on a terminal need not wait for.
if TYPE_CHECKING:
    from pipeline.reporting.tables import Table


def aligned(table: "Table") -> Iterator[str]:
    r"""Yield the table in columns of even width; numbers are set to the right.

    >>> from pipeline.reporting.tables import Table
    >>> print("\n".join(aligned(Table(("name", "n"), [("a", "10"), ("bcdef", "1")], numbers_from=1))))
    name    n
    a      10
    bcdef   1
    >>> print("\n".join(aligned(Table(("name", "n"), [("蜘蛛", "10"), ("bcdef", "1")], numbers_from=1))))
    name    n
    蜘蛛   10
    bcdef   1
    """
    rows: Sequence[tuple[str, ...]] = [table.header, *table.rows]
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        placed = enumerate(zip(row, widths, strict=True))
        cells = [padded(cell, width, right=place >= table.numbers_from) for place, (cell, width) in placed]
        yield "  ".join(cells).rstrip()


def fitted(table: "Table") -> str:
    """Return the table in columns, or, on a terminal that is too narrow for them, a block a row."""
    lines = [*aligned(table)]
    width = _terminal_width()
    if width is None or max(map(columns, lines)) <= width:
        return "\n".join(lines)
    return "\n\n".join(_block(table.header, row) for row in table.rows)


def _block(header: Sequence[str], row: Sequence[str]) -> str:
    """Return a row as `heading: value`, a line each; the first names the row, and empty cells are left out."""
    first, *others = [f"{name}: {cell}" for name, cell in zip(header, row, strict=True) if cell]
    return "\n".join([wrapped(first), *(wrapped(line, indent="  ") for line in others)])


def wrapped(text: str, *, indent: str = "", err: bool = False) -> str:
    """Return a sentence in lines of a terminal's width, which break at spaces alone and in no command in backticks.

    Args:
        text: on one line.
        indent: of every line.
        err: whether it goes to standard error.
    """
    width = _terminal_width(err=err)
    if width is None:
        return indent + text
    whole = re.sub("`[^`]*`", lambda command: command[0].replace(" ", "\0"), text)
    return textwrap.fill(
        whole,
        width,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    ).replace("\0", " ")


def _terminal_width(*, err: bool = False) -> int | None:
    """Return the number of columns; None where the output is no terminal."""
    stream = sys.stderr if err else sys.stdout
    return shutil.get_terminal_size().columns if stream.isatty() else None
