"""One finding about a data set, for a terminal, JSON and the page."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """One finding.

    Attributes:
        what: a short title.
        files: the images concerned, each with a reason or the image that it duplicates.
        advice: action for the user.
        stops: whether it stops a run.
        files_in_all: how many files are concerned; None for as many as are listed.
    """

    what: str
    files: Sequence[str]
    advice: str
    stops: bool = False
    files_in_all: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, with the number of files."""
        values = self._asdict() | {"files": list(self.files)}
        return values | {"count": values.pop("files_in_all") or len(self.files)}
