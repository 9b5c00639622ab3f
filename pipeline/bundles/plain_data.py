"""Dataclasses from plain data, such as JSON gives, with a line that names what does not fit."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pipeline.core.errors import InputError
from pipeline.core.shortening import shown

SectionT = TypeVar("SectionT")


def section(kind: type[SectionT], values: Any, place: Path, name: str) -> SectionT:
    """Return a dataclass from plain data, those inside it too.

    Raises:
        InputError: naming the first key that is missing, is not known or holds another kind of value.
    """
    hints = get_type_hints(kind)
    if not isinstance(values, Mapping):
        raise InputError(f"{place}: {name}: a mapping is needed; copy the bundle again")
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    # A field with a default is of a later version than those without.
    missing = {key for key, one in known.items() if one.default is MISSING} - set(values)
    if differing := sorted(missing | (set(values) - set(known))):
        key = _dotted(name, differing[0])
        if differing[0] in values:
            raise InputError(f"{place}: {key} is not known to this version; install the one that made the bundle")
        raise InputError(f"{place}: {key} is missing; copy the bundle again")
    return kind(**{key: _value(hints[key], value, place, _dotted(name, key)) for key, value in values.items()})


def _value(hint: Any, value: Any, place: Path, name: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return section(hint, value, place, name)
    if get_origin(hint) is Literal:
        return _one_of(get_args(hint), value, place, name)
    accepted: Any = {
        int: int,
        str: str,
        bool: bool,
        int | None: (int, type(None)),
        float: (int, float),
        float | None: (int, float, type(None)),
    }.get(hint)
    if accepted is None:
        return _collection(hint, value, place, name)
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{place}: {name}: {value!r} has the wrong type; copy the bundle again")
    return value


def _one_of(words: tuple[str, ...], value: Any, place: Path, name: str) -> Any:
    if value not in words:
        raise InputError(
            f"{place}: {name}: {shown(value)} is not known to this version, which has {', '.join(words)}; install the "
            "one that made the bundle"
        )
    return value


def _collection(hint: Any, value: Any, place: Path, name: str) -> Any:
    """Return a list as a tuple, and a mapping as it is; what is inside is checked by who reads it."""
    kinds = [get_origin(one) for one in (get_args(hint) or (hint,))] + [get_origin(hint)]
    if tuple in kinds:
        if not isinstance(value, list):
            raise InputError(f"{place}: {name}: a list is needed; copy the bundle again")
        return tuple(value)
    if dict in kinds and not (value is None and type(None) in get_args(hint)) and not isinstance(value, dict):
        raise InputError(f"{place}: {name}: a mapping is needed; copy the bundle again")
    return value


def _dotted(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
