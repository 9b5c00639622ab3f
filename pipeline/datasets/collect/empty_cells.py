"""Texts of metadata.csv that stand for an empty cell, and what is said of them: one may have been meant as a name."""

from collections.abc import Iterator, Mapping

from pipeline.core.counting import counted
from pipeline.datasets.collect.left_out import UNLISTED
from pipeline.datasets.collect.listing import names, quoted

# How programs of statistics write an empty cell.
_EMPTY = ("NA", "NaN", "nan")
# How spreadsheets, databases and Python do too, in any case. Of groups alone: a class may be called None, and as a part
# such a text is refused, but as a group it would join every photograph without one.
_NO_GROUP = ("na", "n/a", "#n/a", "#na", "<na>", "nan", "none", "null")
# What to do where such a text was meant, by column.
_MEANT = {
    "label": "if that is a class, name it otherwise",
    "part": "name one of train, val, test",
    "group": "give a group another name if it is called that",
}


def is_empty(column: str, text: str) -> bool:
    """Return whether a cell's text stands for an empty one."""
    return text in _EMPTY or (column == "group" and text.casefold() in _NO_GROUP)


def notes(empty: Mapping[str, Mapping[str, str]], file: str) -> Iterator[str]:
    """Yield a line for each column that has such cells.

    Args:
        empty: their texts by column and path.
        file: name of the table.
    """
    for column, cells in empty.items():
        number, texts = counted(len(cells), "cell"), names(sorted(set(cells.values())))
        yield f"{number} of the column {column} in {file} taken as empty: {texts}; {_MEANT[column]}"


def reason(column: str, text: str) -> str:
    """Return why a photograph with such a label or part is left out."""
    return f"its {column} {quoted(text)} counts as empty; {_MEANT[column]} {UNLISTED}"
