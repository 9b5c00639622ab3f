"""The two remotes by which machines share cells: their addresses, and git and DVC with errors of one line."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.core.errors import InputError
from pipeline.core.types import Section
from pipeline.experiments import cloning
from pipeline.running.executors import where

# What a node needs to know of a remote of DVC; what is secret is the node's own, as in AWS_SECRET_ACCESS_KEY.
PLAIN = ("url", "endpointurl", "region", "profile", "port", "user", "use_ssl", "account_name", "projectname")
# Those of GitHub, GitLab, Bitbucket, Azure and Gitea are longer.
SHORTEST_TOKEN = 20


class IncompleteError(InputError):
    """Error of an experiment whose data is not whole; the others are not concerned."""


class Remotes(Section):
    """The two remotes, as a machine needs them that has no clone yet.

    Attributes:
        git: the address of git's.
        dvc: DVC's name for its own.
        options: that one's settings, none of them secret.
    """

    git: str
    dvc: str
    options: Mapping[str, str]


def named_remotes(root: Path) -> Remotes | None:
    """Return the remotes that where.yaml names; None where it names none, or is not there.

    Raises:
        InputError: for one that git or DVC does not know, or a file that is wrong.
    """
    if not where.FILE.exists() or (named := where.read().remotes) is None:
        return None
    from dvc.config import Config

    url = _address(root, named.git)
    remotes = Config(str(root / ".dvc"))["remote"]
    if named.dvc not in remotes:
        raise InputError(
            f"{where.FILE}: remotes.dvc: DVC has no remote {named.dvc!r} here: dvc remote add {named.dvc} s3://BUCKET"
        )
    options = {key: str(value) for key, value in remotes[named.dvc].items() if key in PLAIN}
    _refuse_password(options["url"], "dvc", f"dvc remote modify --local {named.dvc} password")
    return Remotes(git=url, dvc=named.dvc, options=options)


def _address(root: Path, name: str) -> str:
    """Return the address of git's remote, as another folder and another machine need it."""
    try:
        url = cloning.git(root, "remote", "get-url", "--push", name)
    except InputError:
        raise InputError(
            f"{where.FILE}: remotes.git: git has no remote {name!r} here: git remote add {name} ADDRESS"
        ) from None
    _refuse_password(url, "git", "git's credential helper")
    # Git takes a folder from the top of the working tree.
    folder = root / cloning.git(root, "rev-parse", "--show-cdup") / url
    return str(folder.resolve()) if folder.is_dir() else url


def _refuse_password(url: str, key: str, way_out: str) -> None:
    parts = urlsplit(url)
    # A token may be in the user's place.
    is_token = parts.scheme in ("http", "https") and len(parts.username or "") >= SHORTEST_TOKEN
    if parts.password or is_token:
        raise InputError(
            f"{where.FILE}: remotes.{key}: a password or token is in the remote's address, which job files would "
            f"contain; remove it and give it to {way_out}"
        )


def git(folder: Path, remotes: Remotes, *words: str) -> str:
    """Return the output of git.

    Raises:
        InputError: naming the remote, with what it said in one line.
    """
    try:
        return cloning.git(folder, *words)
    except InputError as error:
        lines = [line.strip() for line in str(error).partition(": ")[2].splitlines()]
        refused = [match[1] for line in lines if (match := re.match(r"! \[.*\((.*)\)$", line))]
        reasons = [line for line in lines if line.startswith("remote: ")] + refused
        raise InputError(f"git's remote {remotes.git}: {'; '.join(reasons or lines[:1])}") from None


@contextmanager
def opened(root: Path, remotes: Remotes) -> Iterator[Any]:
    """Yield DVC's repository; each library that reaches a remote has errors of its own, which become a line.

    Raises:
        InputError: naming the remote.
        IncompleteError: where that has not what was asked of it.
    """
    from dvc.repo import Repo

    problems = _Problems()
    logger = logging.getLogger("dvc_data")
    logger.addHandler(problems)
    try:
        with Repo(str(root), config=_settings(root, remotes.dvc)) as repo:
            yield repo
    except Exception as error:
        reason = " ".join((problems.first or str(error) or type(error).__name__).split())
        kind = IncompleteError if problems.is_absence else InputError
        raise kind(f"DVC's remote {remotes.dvc!r}, {remotes.options.get('url', '')}: {reason}") from None
    finally:
        logger.removeHandler(problems)


def _settings(root: Path, name: str) -> dict[str, Any]:
    """Return what the project says of DVC's remote now: an experiment may be older than the remote, or its address."""
    from dvc.config import Config

    named = Config(str(root / ".dvc"), validate=False)["remote"]
    return {"remote": {name: named[name]}} if name in named else {}


class _Problems(logging.Handler):
    """The first error that a transfer of a file logs, which the exception at the end only counts."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.first = ""
        self.is_absence = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first."""
        cause = record.exc_info[1] if record.exc_info else None
        if not self.first:
            self.first = str(cause or record.getMessage())
            self.is_absence = isinstance(cause, FileNotFoundError)
