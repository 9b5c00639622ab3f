"""From pydantic's errors to one line: the key of params.yaml, its value, and what would do."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pipeline.core.shortening import cut, shown

Place = tuple[str | int, ...]
# Of a dotted name of keys; ours have fewer than 70 characters.
LONGEST_KEY = 120
PLAIN = {
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "int_type": "a whole number is needed",
    "float_parsing": "a number is needed",
    "float_type": "a number is needed",
    "finite_number": "a finite number is needed",
    "model_type": "the keys of this section are needed",
    "model_attributes_type": "the keys of this section are needed",
    "dict_type": "the keys of this section are needed",
    "tuple_type": "a list is needed, such as [1]",
    "too_short": "needs at least one entry",
    "too_long": "has {actual_length:,} entries; at most {max_length:,} are possible",
    "string_pattern_mismatch": "is not one of auto, cuda, cuda:0, cuda:1 ..., mps, cpu",
    "string_too_short": "may not be empty",
    "string_type": "text is needed",
}


def one_line(error: ValidationError, values: Any, model: type[BaseModel], key: Callable[[str], str]) -> str:
    """Return the first problem in the order of the values, a misspelt key before all, and how many more there are.

    Args:
        error: of `model`.
        values: what was validated.
        model: the section that holds all of them.
        key: from a dotted name below `values` to the key of params.yaml.
    """
    # Each branch of a union reports its own: of one place the first counts, unless it says that no section is there.
    problems = error.errors()[::-1]
    problems.sort(key=lambda problem: problem["type"] != "model_type")
    by_place = {_location(problem["loc"], values): dict(problem) for problem in problems}
    # A place around another says less than that.
    around = {place[:count] for place in by_place for count in range(len(place))}
    innermost = [(place, problem) for place, problem in by_place.items() if place not in around][::-1]
    # A misspelt key is also a missing one: the misspelling says more.
    innermost.sort(key=lambda one: one[1]["type"] != "extra_forbidden")
    lines = [_line(place, problem, model, key) for place, problem in innermost]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return f"{lines[0]}{more}"


def unknown(name: str, key: str, known: Iterable[str]) -> str:
    """Return the message for a key that is not known in its section."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}"
    return f"unknown key {shown(key)}; {hint}"


def _line(place: Place, problem: Mapping[str, Any], model: type[BaseModel], key: Callable[[str], str]) -> str:
    # What is left blank is None for YAML, which nobody has written.
    name, value = ".".join(map(str, place)), "empty" if problem["input"] is None else shown(problem["input"])
    where = cut(key(name), LONGEST_KEY) if name else ""
    if problem["type"] == "extra_forbidden":
        return unknown(str(place[-1]), key(name), _section(model, place[:-1]).model_fields)
    if problem["type"] == "invalid_key":
        inside = f"{key('.'.join(map(str, place[:-1])))}: " if len(place) > 1 else ""
        return f"{inside}the key {shown(problem['input'])} is no text; put it in quotes, or take it out"
    if problem["type"] == "missing":
        return f"key {where!r} is missing; add it"
    if problem["type"] == "literal_error":
        return f"{where}: {value} is not one of {_listed(problem['ctx']['expected'])}"
    message = PLAIN.get(problem["type"], str(problem["msg"])).removeprefix("Value error, ").removeprefix("Input ")
    message = message.format_map(problem.get("ctx", {})) if problem["type"] in PLAIN else message
    if problem["type"] == "not_one_of":
        return f"{where}: {value} {message}"
    if isinstance(problem["input"], dict) and problem["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where}: {value}: {message}" if where else message


def _location(loc: Place, values: Any) -> Place:
    """Return the place without the names of a union's branches that pydantic puts into it."""
    place: list[str | int] = []
    for number, part in enumerate(loc, start=1):
        inside = isinstance(values, dict) or (isinstance(values, list) and isinstance(part, int))
        if not inside:
            break
        if isinstance(values, dict) and part not in values and (number < len(loc) or "[" in str(part)):
            continue
        place.append(part)
        values = values.get(part) if isinstance(values, dict) else values[int(part)]
    return tuple(place)


def _listed(expected: str) -> str:
    """Return pydantic's `'a', 'b' or 'c'` without its quotes."""
    return expected.replace("'", "").replace(" or ", ", ")


def _section(model: type[BaseModel], place: Place) -> type[BaseModel]:
    """Return the type of the section at a place, which may be one of a mapping of names to sections."""
    names = [str(part) for part in place if not isinstance(part, int)]
    while names:
        annotation = model.model_fields[names.pop(0)].annotation
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
            names = names[1:]
        branches = [annotation, *get_args(annotation)]
        model = next(one for one in branches if isinstance(one, type) and issubclass(one, BaseModel))
    return model
