"""Commercial use of pre-trained weights by the name of their license; no legal advice."""

from typing import Literal

Use = Literal["yes", "no", "unknown"]

# SPDX identifiers whose texts allow it, and the beginning of those that forbid it.
ALLOWING = ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0", "ISC", "MIT", "Unlicense")
FORBIDDING = "CC-BY-NC"


def commercial_use(license: str) -> Use:
    """Return whether a license allows commercial use.

    Args:
        license: as SPDX writes it; "" where the publisher states none.

    >>> commercial_use("Apache-2.0"), commercial_use("CC-BY-NC-4.0"), commercial_use("")
    ('yes', 'no', 'unknown')
    """
    if license in ALLOWING:
        return "yes"
    return "no" if license.startswith(FORBIDDING) else "unknown"
