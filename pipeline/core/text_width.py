"""Width of text in columns of a terminal, where letters of East Asian scripts take two and combining marks none."""

from unicodedata import category, east_asian_width

WIDE = frozenset({"W", "F"})
# Marks on the letter before, and signs that only join or direct others.
WITHOUT_WIDTH = frozenset({"Mn", "Me", "Cf"})


def columns(text: str) -> int:
    """Return how many columns a text takes.

    >>> columns("owl"), columns("蜘蛛"), columns("e\N{COMBINING ACUTE ACCENT}")
    (3, 4, 1)
    """
    return sum(0 if category(sign) in WITHOUT_WIDTH else 1 + (east_asian_width(sign) in WIDE) for sign in text)


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Return a text with spaces to so many columns: behind it, or before it if it is set to the right.

    >>> padded("蜘蛛", 5), padded("蜘蛛", 5, right=True)
    ('蜘蛛 ', ' 蜘蛛')
    """
    spaces = " " * (width - columns(text))
    return spaces + text if right else text + spaces
