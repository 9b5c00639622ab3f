"""A partly downloaded file next to its final path, with a record of the server's version that it came from."""

import json
from pathlib import Path
from typing import NamedTuple

from pipeline.datasets.download.cache import read_record


class ServerFile(NamedTuple):
    """The server's file that the bytes belong to.

    Attributes:
        url: its address.
        version: a strong ETag or a modification time; empty if the server sends neither.
        total: size in bytes; 0 if unknown.
    """

    url: str = ""
    version: str = ""
    total: int = 0


class PartialFile:
    """The bytes received so far, and their origin; both survive an interrupted run."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._record = target.with_name(f"{target.name}.part.json")
        record = read_record(self._record)
        # A record with other keys, or values of other types, is as good as none.
        types = {name: type(value) for name, value in record.items()}
        self.origin = ServerFile(**record) if types == ServerFile.__annotations__ else ServerFile()

    @property
    def size(self) -> int:
        """Bytes received so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def is_complete(self, url: str) -> bool:
        """Return whether all bytes of this address are there."""
        return self.origin.url == url and 0 < self.origin.total == self.size

    def can_resume(self, url: str) -> bool:
        """Return whether the rest can be requested without mixing two versions of the file."""
        return self.size > 0 and self.origin.url == url and bool(self.origin.version)

    def restart(self, origin: ServerFile) -> None:
        """Drop all bytes and record a new origin."""
        self.discard()
        self.origin = origin
        # Before any byte of the file: an interruption in between must not leave bytes with another origin's record.
        self._record.write_text(json.dumps(origin._asdict()) + "\n", encoding="utf-8")
        self.path.touch()

    def discard(self) -> None:
        """Delete the bytes and their record."""
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)
        self.origin = ServerFile()

    def move_to(self, target: Path) -> None:
        """Move the complete file into its final path."""
        self.path.replace(target)
        self._record.unlink(missing_ok=True)
