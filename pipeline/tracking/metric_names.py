"""Names as MLflow takes them, still readable: it has letters, digits, `_ - . / :` and blanks alone."""

import posixpath
import re
import unicodedata
from collections.abc import Iterable

LONGEST_NAME = 250
# A class's name, behind that of its score.
LONGEST_LABEL = 200
FORBIDDEN = re.compile(r"[^\w./: -]")
WORDS = {"&": "and", "#": " sharp", "%": "percent"}


def valid(name: str) -> str:
    """Return a name that MLflow takes: signs become words where they have one, other characters underscores.

    >>> [valid(name) for name in ("precision/C#", "l'épeire", "owl (♀)", "salt & pepper", "🕷", "C++")]
    ['precision/C sharp', 'l_épeire', 'owl female', 'salt and pepper', 'spider', 'C plus plus']
    """
    text = FORBIDDEN.sub(lambda sign: _word(sign[0]), unicodedata.normalize("NFC", name))
    text = re.sub(r" {2,}", " ", text).strip()[:LONGEST_NAME]
    return text if posixpath.normpath(text) == text else re.sub(r"[./]+", "_", text)


def _word(sign: str) -> str:
    if sign in WORDS:
        return WORDS[sign]
    if unicodedata.category(sign).startswith("S"):
        return f" {unicodedata.name(sign, '_').lower().removesuffix(' sign')} ".replace(" _ ", "_")
    # Marks that belong to a letter, and brackets, go; what is left is no letter of any script.
    return "" if unicodedata.category(sign) in ("Mn", "Mc", "Me", "Ps", "Pe") else "_"


def of_classes(classes: Iterable[str]) -> dict[str, str]:
    """Return each class's name in the names of its metrics; of several that would be one, the later have a number.

    >>> of_classes(["owl?", "owl*", "owl"])
    {'owl?': 'owl_', 'owl*': 'owl_ 2', 'owl': 'owl'}
    """
    names: dict[str, str] = {}
    for label in classes:
        plain, number = valid(label)[:LONGEST_LABEL], 1
        name = plain
        while name.casefold() in {other.casefold() for other in names.values()}:
            number += 1
            name = f"{plain} {number}"
        names[label] = name
    return names
