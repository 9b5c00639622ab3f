"""Tables as text, for a terminal."""

from collections.abc import Iterator, Sequence

from pipeline.reporting.tables import Table


def aligned(table: Table) -> Iterator[str]:
    r"""Yield the table in columns of even width; numbers are set to the right.

    >>> print("\n".join(aligned(Table(("name", "n"), [("a", "10"), ("bcdef", "1")], numbers_from=1))))
    name    n
    a      10
    bcdef   1
    """
    rows: Sequence[tuple[str, ...]] = [table.header, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = {place for place, name in enumerate(table.header) if not name}
    left = words | set(range(table.numbers_from))
    for row in rows:
        placed = enumerate(zip(row, widths, strict=True))
        cells = [f"{cell:<{width}}" if place in left else f"{cell:>{width}}" for place, (cell, width) in placed]
        yield "  ".join(cells).rstrip()
