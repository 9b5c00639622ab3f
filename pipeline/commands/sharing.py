"""Experiments shared by a remote of git and one of DVC, where machines share no file system.

An experiment's data goes before its reference, there and here: a reference says that all of it is there.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.commands import cells, cloning
from pipeline.commands.executors import where
from pipeline.core.errors import InputError
from pipeline.core.types import Section

EXPERIMENTS = "refs/exps/*"
# What a node needs to know of a remote of DVC; what is secret is the node's own, as in AWS_SECRET_ACCESS_KEY.
PLAIN = ("url", "endpointurl", "region", "profile", "port", "user", "use_ssl", "account_name", "projectname")


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


def of(root: Path) -> Remotes | None:
    """Return the remotes that where.yaml names; None where it names none, or is not there.

    Raises:
        InputError: for one that git or DVC does not know, or a file that is wrong.
    """
    if not where.FILE.exists() or (named := where.read().remotes) is None:
        return None
    from dvc.config import Config

    try:
        url = cloning.git(root, "remote", "get-url", "--push", named.git)
    except InputError:
        raise InputError(
            f"{where.FILE}: remotes.git: git has no remote {named.git!r} here: git remote add {named.git} ADDRESS"
        ) from None
    remotes = Config(str(root / ".dvc"))["remote"]
    if named.dvc not in remotes:
        raise InputError(
            f"{where.FILE}: remotes.dvc: DVC has no remote {named.dvc!r} here: dvc remote add {named.dvc} s3://BUCKET"
        )
    options = {key: str(value) for key, value in remotes[named.dvc].items() if key in PLAIN}
    return Remotes(git=url, dvc=named.dvc, options=options)


def there(remotes: Remotes) -> dict[str, tuple[str, str]]:
    """Return the reference and the commit of every experiment of a study in git's remote, by key."""
    by_key = {}
    for line in cloning.git(Path.cwd(), "ls-remote", "--refs", remotes.git, EXPERIMENTS).splitlines():
        commit, _, reference = line.partition("\t")
        if match := cells.EXPERIMENT.search(reference):
            by_key[match[1]] = (reference, commit)
    return by_key


def bring(root: Path, remotes: Remotes, keys: Collection[str]) -> int:
    """Fetch the experiments that are in the remotes and not here; return how many.

    Args:
        root: the project's root.
        remotes: where they are.
        keys: of those that are wanted.
    """
    here, shared = cells.finished(root), there(remotes)
    new = {key: shared[key] for key in keys if key in shared and key not in here}
    for reference, commit in tqdm(new.values(), "from the remotes", unit=" cells", disable=None if new else True):
        # Git's objects first, with no name: were this killed, nobody would take the experiment for whole.
        quiet = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")
        cloning.git(root, *quiet, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remotes.git, reference)
        with _dvc(root, remotes) as repo:
            repo.fetch(revs=[commit], workspace=False, remote=remotes.dvc)
        cloning.git(root, "update-ref", reference, commit)
    return len(new)


def give(root: Path, remotes: Remotes, keys: Collection[str], *, run_cache: bool = False) -> int:
    """Push the experiments that are here and not in the remotes; return how many.

    Args:
        root: the project's root.
        remotes: where they go.
        keys: of those that are meant.
        run_cache: whether what DVC knows of its runs goes too, by which another machine takes over single stages.
    """
    shared = there(remotes)
    named = cloning.git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps/??/*/*").splitlines()
    here = {match[1]: line.split(" ", 1) for line in named if (match := cells.EXPERIMENT.search(line))}
    new = [here[key] for key in keys if key in here and key not in shared]
    for commit, reference in tqdm(new, "to the remotes", unit=" cells", disable=None if new else True):
        with _dvc(root, remotes) as repo:
            repo.push(revs=[commit], workspace=False, remote=remotes.dvc, run_cache=run_cache)
        cloning.git(root, "push", "--quiet", remotes.git, f"{reference}:{reference}")
    return len(new)


def keep_commit(root: Path, remotes: Remotes, commit: str) -> None:
    """Put a commit into git's remote, under a name that no branch has, for machines that check it out."""
    cloning.git(root, "push", "--quiet", remotes.git, f"{commit}:{cloning.CHANGES}{commit}")


def drop_commit(root: Path, remotes: Remotes, commit: str) -> None:
    """Take it away again."""
    cloning.git(root, "push", "--quiet", remotes.git, f":{cloning.CHANGES}{commit}")


def clone(remotes: Remotes, folder: Path, *, commit: str, changes: str, prefix: str) -> Path:
    """Make a clone of git's remote with a DVC cache of its own, which has DVC's remote as its default.

    Args:
        remotes: both.
        folder: to be made.
        commit: what is checked out.
        changes: the commit of changes to it, or `commit` itself; what `keep_commit` put there.
        prefix: from the repository's top to the project's root.

    Returns:
        The project's root in it.
    """
    from dvc.config import Config

    cloning.git(folder.parent, "clone", "--quiet", "--no-checkout", "--no-tags", remotes.git, str(folder))
    cloning.git(folder, "fetch", "--quiet", "--no-tags", "origin", cloning.CHANGES + changes)
    cloning.git(folder, "checkout", "--quiet", "--detach", commit)
    if changes != commit:
        # As the user has them: in the files, above the commit that the experiment is one of.
        cloning.git(folder, "restore", f"--source={changes}", "--staged", "--worktree", "--", ".")
    project = folder / prefix
    with Config(str(project / ".dvc"), validate=False).edit("local") as config:
        config.setdefault("remote", {})[remotes.dvc] = dict(remotes.options)
        config.setdefault("core", {})["remote"] = remotes.dvc
    return project


@contextmanager
def _dvc(root: Path, remotes: Remotes) -> Iterator[Any]:
    """Yield DVC's repository; each library that reaches a remote has errors of its own, which become a line.

    Raises:
        InputError: naming the remote.
    """
    from dvc.repo import Repo

    problems = _Problems()
    logger = logging.getLogger("dvc_data")
    logger.addHandler(problems)
    try:
        with Repo(str(root)) as repo:
            yield repo
    except Exception as error:
        reason = " ".join((problems.first or str(error) or type(error).__name__).split())
        raise InputError(f"DVC's remote {remotes.dvc!r}, {remotes.options.get('url', '')}: {reason}") from None
    finally:
        logger.removeHandler(problems)


class _Problems(logging.Handler):
    """The first error that a transfer of a file logs, which the exception at the end only counts."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first."""
        cause = record.exc_info[1] if record.exc_info else None
        self.first = self.first or str(cause or record.getMessage())
