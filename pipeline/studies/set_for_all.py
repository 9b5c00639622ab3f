"""Settings for all cells of a study, refused for those in which cells differ."""

from collections.abc import Collection, Iterable, Sequence

from pipeline.core.errors import InputError
from pipeline.core.overrides import overridden_key
from pipeline.core.shortening import cut, shown
from pipeline.studies.definition import LONGEST_LIST, Named

DATA = "data"

# What may be named for all cells also where they differ in it: executors set two, and the third selects cells.
FOR_ALL = (DATA, "device", "threads")


def check(named: Named, sets: Sequence[str]) -> None:
    """Refuse to set for all cells what a cell sets itself: it would keep the name of its own value, and have another.

    Args:
        named: the study.
        sets: what is set for all, as after -S.

    Raises:
        InputError: for the first such word.
    """
    by_key = {key: cell for cell, settings in named.study.settings().items() for key in settings}
    for word in sets:
        asked = overridden_key(word)
        for key, cell in by_key.items():
            if asked not in FOR_ALL and is_in(key, asked):
                own = f"{key} is an axis" if key in named.study.grid else f"{key} is set by cell {cell!r}"
                raise InputError(f"-S {word}: {own} of {named.file}; change the values there, in a copy of the file")


def selection(named: Named, words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the data set whose cells are selected, and the words that remain to be set for all.

    Where cells differ in their data set, naming one selects; a set for all would leave names and printed figures of
    others. The data set is empty where none is named, or cells do not set it and all take the named one.

    Args:
        named: the study.
        words: what is set for all, as after -S.
    """
    if not any(DATA in settings for settings in named.study.settings().values()):
        return "", list(words)
    selecting = [word for word in words if overridden_key(word) == DATA]
    data = selecting[-1].partition("=")[2].strip("'\"") if selecting else ""
    return data, [word for word in words if word not in selecting]


def check_selection(named: Named, data: str, selected: Collection[object], there: Iterable[str]) -> None:
    """Refuse a data set that no cell has.

    Args:
        named: the study.
        data: the set; empty where cells are not selected by it.
        selected: the cells that have it.
        there: the data set of each cell.

    Raises:
        InputError: naming the sets that there are.
    """
    if data and not selected:
        known = cut(", ".join(dict.fromkeys(there)), LONGEST_LIST)
        raise InputError(
            f"data: {shown(data)} is of no cell of {named.file}, whose cells have {known}; name one, or change "
            "the values there, in a copy of the file"
        )


def is_in(key: str, other: str) -> bool:
    """Return whether two keys of params.yaml are one, or one is in the section that the other is.

    >>> is_in("options.attention.se", "options.attention"), is_in("lr", "lr"), is_in("lr", "lr_factors")
    (True, True, False)
    """
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")
