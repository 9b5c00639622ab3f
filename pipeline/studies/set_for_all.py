"""Settings for all cells of a study, refused for those in which cells differ."""

from collections.abc import Sequence

from pipeline.core.errors import InputError
from pipeline.core.overrides import overridden_key
from pipeline.studies.definition import Named

# What may be set for all cells also where they differ in it: as --data does, and as executors do.
FOR_ALL = ("data", "device", "threads")


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


def is_in(key: str, other: str) -> bool:
    """Return whether two keys of params.yaml are one, or one is in the section that the other is.

    >>> is_in("options.attention.se", "options.attention"), is_in("lr", "lr"), is_in("lr", "lr_factors")
    (True, True, False)
    """
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")
