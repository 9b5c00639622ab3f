"""Settings as the words that follow -S."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.core.errors import InputError

# What DVC's grammar reads as text without quotes, and not as a number or a word of its own.
_PLAIN = re.compile(r"(?!(?:null|true|false|nan|inf)$)(?:[a-z_][a-z0-9_.-]*|[0-9][a-df-z]|[0-9])", re.IGNORECASE)


def override(key: str, value: Any) -> str:
    """Return a setting as the word after -S.

    >>> [override("freeze", 1), override("repeats", [1, 2]), override("folder", "/my photos")]
    ['freeze=1', 'repeats=[1,2]', "folder='/my photos'"]
    """
    return f"{key}={_word(value)}"


def overridden_key(word: str) -> str:
    """Return the key that a word after -S sets; signs in front add to params.yaml or take away from it.

    >>> overridden_key("lr=0.1"), overridden_key("+options.new=1"), overridden_key("~lr")
    ('lr', 'options.new', 'lr')
    """
    return word.partition("=")[0].lstrip("+~")


def with_data_set(data: str | None, words: Sequence[str]) -> list[str]:
    """Return the words after -S, and that of --data before them.

    Raises:
        InputError: for two data sets.

    >>> with_data_set("digits", ["lr=0.1"]), with_data_set(None, ["data=digits"])
    (['data=digits', 'lr=0.1'], ['data=digits'])
    """
    if not data:
        return list(words)
    if word := next((word for word in words if overridden_key(word) == "data"), ""):
        raise InputError(f"--data {data} and -S {word}: both are the data set; give one")
    return [f"data={data}", *words]


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_word(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_word, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if _PLAIN.fullmatch(value):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
