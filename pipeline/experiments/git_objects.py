"""The files of git's revisions by one process, however many are read."""

import atexit
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO

# What git has in place of a large file that it keeps elsewhere.
LARGE_FILE = b"version https://git-lfs.github.com/"


class Objects:
    """A `git cat-file --batch` that answers until it is closed.

    Args:
        root: the project's root.

    Raises:
        FileNotFoundError: where git is not installed.
    """

    def __init__(self, root: Path) -> None:
        words = ("git", "cat-file", "--batch")
        self._process = subprocess.Popen(
            words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def read(self, revision: str, path: Path) -> bytes | None:
        """Return the bytes of a file; None for what is no plain file in the revision's tree."""
        place = f"{revision}:./{path.as_posix()}"
        if "\n" in place:
            return None
        asked, answers = self._pipes()
        try:
            asked.write(place.encode("utf-8", "surrogateescape") + b"\n")
            asked.flush()
        except BrokenPipeError:
            return None
        # The object's name, its kind and its size; else words that end with `missing` or the like.
        words = answers.readline().split()
        if not words or not words[-1].isdigit():
            return None
        # A line's end follows the content.
        content = answers.read(int(words[-1]) + 1)[:-1]
        return content if words[-2] == b"blob" and not content.startswith(LARGE_FILE) else None

    def close(self) -> None:
        """End the process."""
        for pipe in self._pipes():
            # What was asked of a process that was killed is in it still.
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process.stdin
        assert self._process.stdout
        return self._process.stdin, self._process.stdout


_opened: dict[Path, Objects] = {}


def objects(root: Path) -> Objects | None:
    """Return the process for a clone, one at a time; None where git is not installed."""
    place = root.resolve()
    if place not in _opened:
        close()
        try:
            _opened[place] = Objects(place)
        except FileNotFoundError:
            return None
    return _opened[place]


@atexit.register
def close() -> None:
    """End the process, if there is one."""
    while _opened:
        _opened.popitem()[1].close()
