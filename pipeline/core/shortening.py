"""Given values in messages: short, on one line, and without signs that a terminal would obey."""

import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any

# Of a given value, and of a word or a whole message that may hold several.
LONGEST_VALUE = 60
LONGEST_WORD = 250
LONGEST_MESSAGE = 1200


def shown(value: Any) -> str:
    """Return a value as Python writes it, the middle of a long one left out.

    >>> shown("3b"), shown([1, 2]), shown("x" * 500)
    ("'3b'", '[1, 2]', "'xxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxx' (500 characters)")
    """
    try:
        text = str(value) if isinstance(value, date) else repr(value)
    except ValueError:
        # Python writes no whole number of more than 4,300 digits.
        return "a number of more than 4,300 digits"
    return cut(text, LONGEST_VALUE, f" ({len(value):,} characters)" if isinstance(value, str) else None)


def value_text(value: object) -> str:
    """Return the value of a setting as people read it.

    >>> value_text(0.0001), value_text("3b"), value_text([{"freeze": "1"}])
    ('0.0001', '3b', '[{"freeze":"1"}]')
    """
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def cut(text: str, longest: int, size: str | None = None) -> str:
    """Return a text of at most so many characters, with the middle of a longer one left out and its size behind it.

    >>> cut("abcdefghijkl", 9), cut("abc", 9), cut("abcdefghijkl", 3)
    ('abc...jkl (12 characters)', 'abc', '... (12 characters)')
    """
    if len(text) <= longest:
        return text
    kept = (longest - 3) // 2
    return f"{text[:kept]}...{text[len(text) - kept :]}{f' ({len(text):,} characters)' if size is None else size}"


def some(names: Sequence[str], most: int) -> str:
    """Return names with commas, the first so many where there are more.

    >>> some(["a", "b", "c"], 2), some(["a", "b"], 2)
    ('a, b and 1 more', 'a, b')
    """
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left:,} more" if left > 0 else "")


def line(message: str) -> str:
    r"""Return a message as one line, with long words and a long rest cut and control characters spelled out.

    >>> print(line("folder:\n '/a\x1b[31m' is empty"))
    folder: '/a\x1b[31m' is empty
    """
    words = " ".join(message.split())
    words = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in words)
    words = re.sub(rf"\S{{{LONGEST_WORD + 1},}}", lambda word: cut(word[0], LONGEST_WORD), words)
    return cut(words, LONGEST_MESSAGE)
