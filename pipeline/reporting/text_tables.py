"""Tables as text, for a terminal."""

from collections.abc import Iterator, Sequence

from pipeline.core.text_width import columns, padded
from pipeline.reporting.tables import Table


def aligned(table: Table) -> Iterator[str]:
    r"""Yield the table in columns of even width; numbers are set to the right.

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
    words = {place for place, name in enumerate(table.header) if not name}
    left = words | set(range(table.numbers_from))
    for row in rows:
        placed = enumerate(zip(row, widths, strict=True))
        cells = [padded(cell, width, right=place not in left) for place, (cell, width) in placed]
        yield "  ".join(cells).rstrip()
