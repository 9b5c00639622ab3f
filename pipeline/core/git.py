"""The output of git, as far as there is git, a repository and an answer."""

import os
import re
import subprocess
from pathlib import Path

from pipeline.core.errors import InputError

# The end of what git says of another user's repository: its place, as a shell takes it.
SAFE = re.compile(r"--add safe\.directory (.+)")


def printed(root: Path, *words: str) -> bytes | None:
    """Return the output of a git command; None if there is no git, no repository or no such revision.

    Args:
        root: the folder in which it runs.
        words: the command.
    """
    # An answer alone is wanted, and the user may be in the middle of a commit.
    variables = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(("git", *words), cwd=root, env=variables, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def lines(root: Path, *words: str) -> list[str]:
    """Return the lines of the same output; none where there is no answer.

    Bytes that are not UTF-8 are surrogates, as in the names of files.
    """
    text = (printed(root, *words) or b"").decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").split("\n") if text else []


def check_owner(root: Path) -> None:
    """Refuse a repository that git refuses as another user's; asked where git gave no answer.

    Raises:
        InputError: with git's own way out.
    """
    # In git's own language, of which the words are known.
    variables = os.environ | {"LC_ALL": "C"}
    try:
        words = ("git", "rev-parse", "--git-dir")
        done = subprocess.run(words, cwd=root, env=variables, capture_output=True, check=False)
    except FileNotFoundError:
        return
    message = done.stderr.decode("utf-8", "surrogateescape")
    if "dubious ownership" in message and (place := SAFE.search(message)):
        way_out = f"git config --global --add safe.directory {place[1]}"
        raise InputError(f"{root.resolve()}: git refuses it, as it belongs to another user; `{way_out}`")


def lacks_identity(root: Path) -> bool:
    """Return whether git lacks a committer's name or email, without which `dvc exp run` cannot stash changed files."""
    if not lines(root, "rev-parse", "--git-dir"):
        return False
    # As DVC asks: of the settings neither counts without the other, and a variable that is set goes before.
    configured = all(lines(root, "config", f"user.{part}") for part in ("name", "email"))
    names = ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    return not all(os.environ.get(name, "configured" if configured else "") for name in names)
