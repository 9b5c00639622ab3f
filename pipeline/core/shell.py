"""Commands to copy into a shell, quoted for readers too."""

import re
import shlex
from collections.abc import Iterable

# Special between double quotes in bash; `!` recalls earlier commands on a terminal.
_SPECIAL = frozenset('"$`\\!')

# A command or an option of ours in a sentence. Other backticks may be a name's, and stay as they are.
IN_SENTENCE = re.compile(r"`((?:(?:orbweaver|dvc|make) |--)[^`|\n]+)`")


def quote(word: str) -> str:
    """Return a word as a shell reads it, in double quotes where it holds a single quote and nothing special.

    >>> print(quote("folder='/my photos'"))
    "folder='/my photos'"
    >>> print(quote("folder=/photos"))
    folder=/photos
    """
    return f'"{word}"' if "'" in word and not _SPECIAL.intersection(word) else shlex.quote(word)


def join(words: Iterable[str]) -> str:
    """Return words as one command."""
    return " ".join(map(quote, words))
