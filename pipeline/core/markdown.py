"""Text in Markdown that reads as it is."""

import re

_MARKS = re.compile(r"([\\`*_\[\]<>#|~$&])")


def escaped(text: str) -> str:
    r"""Return a text with Markdown's marks escaped.

    >>> print(escaped("a_b <i> & c"))
    a\_b \<i\> \& c
    """
    return _MARKS.sub(r"\\\1", text)
