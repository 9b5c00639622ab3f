"""Git's account of the user's changes that DVC had put away, and of where HEAD was."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.core import git
from pipeline.experiments import cloning

EXEC = "refs/exps/exec"
MERGE = f"{EXEC}/EXEC_MERGE"
QUEUES = "refs/exps/celery"
# What the message of DVC's own stash has.
OF_DVC = "dvc-exp:"
# Seconds that DVC may take from the user's stash to its own.
SET_UP_SECONDS = 120
# In what else the user's stash and DVC's may differ.
WRITTEN_BY_DVC = {"params.yaml", "dvc.lock", "repro.dat"}


def before_the_run(root: Path) -> str:
    """Return the commit with the user's changes of before the run; empty where there were none."""
    return before(root, MERGE)


def before(root: Path, experiment: str) -> str:
    """Return the commit with the user's changes of before DVC stashed an experiment; empty where there were none.

    It may be in no list any more. Changes and experiments take turns: those of an earlier run are none of this.
    """
    line = git.lines(root, "log", "-1", "--format=%ct %H %P", experiment)
    if not line:
        return ""
    end, commit, base, *_ = line[0].split(" ")
    changes: list[tuple[int, str]] = []
    for moment, is_of_dvc, one in sorted(_made_on(root, base, commit)):
        if moment > int(end) or moment < int(end) - 2 * SET_UP_SECONDS:
            continue
        if not is_of_dvc:
            changes.append((moment, one))
            continue
        near = (change for change in reversed(changes) if moment - change[0] <= SET_UP_SECONDS)
        own = next((change for change in near if _differ_as_dvc_writes(root, change[1], one)), None)
        if one == commit:
            return own[1] if own else ""
        if own:
            changes.remove(own)
    return ""


def _made_on(root: Path, base: str, *more: str) -> Iterator[tuple[int, bool, str]]:
    """Yield DVC's stashes with a first parent, listed or not: seconds since 1970, if it is DVC's own, the commit."""
    lost = git.lines(root, "fsck", "--unreachable", "--no-reflogs", "--connectivity-only", "--no-progress")
    listed = git.lines(root, "for-each-ref", "--format=%(objectname)", "refs/stash", "refs/exps/stash", QUEUES)
    commits = {*more, *listed, *(line.split()[2] for line in lost if line.startswith("unreachable commit "))}
    for line in git.lines(root, "log", "--no-walk", "--format=%ct %H %P %s", *commits):
        moment, commit, first, *rest = line.split(" ")
        if first != base or not rest or not re.fullmatch("[0-9a-f]{40,64}", rest[0]):
            continue
        if (is_of_dvc := OF_DVC in line) or _is_by_dvc(root, commit):
            yield int(moment), is_of_dvc, commit


def _differ_as_dvc_writes(root: Path, changes: str, experiment: str) -> bool:
    differing = git.lines(root, "diff", "--name-only", changes, experiment)
    return {Path(name).name for name in differing} <= WRITTEN_BY_DVC


def since(root: Path, began: float) -> str:
    """Return the commit of the user's changes in git's stash, if DVC put it there since it began; else empty."""
    for commit, moment, message in listed(root):
        if OF_DVC not in message:
            return commit if int(moment) >= int(began) - 1 else ""
    return ""


def listed(root: Path) -> list[tuple[str, str, str]]:
    """Return git's list of stashes, the newest first: commit, seconds since 1970, message."""
    lines = git.lines(root, "stash", "list", "--format=%H %ct %gs")
    return [(commit, moment, message) for commit, moment, message in (line.split(" ", 2) for line in lines)]


def put_there_by_dvc(root: Path) -> list[str]:
    """Return the commits of the user's changes that DVC put into git's stash and that still are there."""
    return [commit for commit, _, message in listed(root) if OF_DVC not in message and _is_by_dvc(root, commit)]


def _is_by_dvc(root: Path, commit: str) -> bool:
    """Return whether DVC made a stash, not git.

    DVC stashes with libgit2, which ends the message of the commit of what is staged with two line ends, git with one.
    """
    staged = git.printed(root, "cat-file", "commit", f"{commit}^2")
    return staged is not None and staged.endswith(b"\n\n")


def experiments(root: Path, began: float = 0) -> list[str]:
    """Return the commits of the experiments in git's stash, where DVC has each while it makes or applies it."""
    return [commit for commit, moment, message in listed(root) if OF_DVC in message and int(moment) >= int(began) - 1]


def queued(root: Path) -> set[str]:
    """Return the commits of the experiments that wait in DVC's queue, or failed there."""
    refs = git.lines(root, "for-each-ref", "--format=%(refname)", QUEUES)
    return {commit for ref in refs for commit in git.lines(root, "reflog", "--format=%H", ref)}


def name(root: Path, commit: str) -> str:
    """Return git's name of a commit in its stash, such as `stash@{0}`."""
    return next(f"stash@{{{number}}}" for number, one in enumerate(listed(root)) if one[0] == commit)


def put_back(root: Path, commit: str) -> None:
    """Put a stash that is in no list any more back into git's."""
    if commit not in {one for one, _, _ in listed(root)}:
        subject = "\n".join(git.lines(root, "log", "-1", "--format=%s", commit))
        cloning.git(root, "stash", "store", "--quiet", "--message", subject, commit)


def drop(root: Path, *commits: str) -> None:
    """Drop commits from git's list of stashes; those that are not in it are passed over."""
    for number, (commit, _, _) in reversed(list(enumerate(listed(root)))):
        if commit in commits:
            cloning.git(root, "stash", "drop", "--quiet", f"stash@{{{number}}}")


def branch(root: Path) -> str:
    """Return the branch that DVC detached HEAD from, if it still is where HEAD is; empty where HEAD is on a branch."""
    if git.lines(root, "symbolic-ref", "--quiet", "HEAD"):
        return ""
    head = git.lines(root, "rev-parse", "HEAD")
    for line in git.lines(root, "reflog", "-20", "--format=%gs", "HEAD"):
        match = re.fullmatch(r"checkout: moving from (\S+) to ([0-9a-f]{40,64})", line)
        if match and git.lines(root, "rev-parse", "--verify", "--quiet", f"refs/heads/{match[1]}") == head:
            return match[1]
    return ""


def attach(root: Path, branch: str) -> None:
    """Put HEAD back on a branch whose commit it has; empty is none."""
    if branch:
        cloning.git(root, "symbolic-ref", "-m", f"orbweaver: back on {branch}", "HEAD", f"refs/heads/{branch}")


def differing(root: Path, *revisions: str) -> list[str]:
    """Return the files below a folder that differ, as `git diff` takes revisions; none if there is no such revision.

    Names are as they are on the disk: as lines, git would quote those with an umlaut or a quotation mark.
    """
    names = git.printed(root, "diff", "--name-only", "--relative", "-z", *revisions) or b""
    return [os.fsdecode(name) for name in names.split(b"\0") if name]


def content(root: Path, revision: str, path: str) -> bytes | None:
    """Return a file of a revision, with the bytes that a checkout gives; None where it is in none."""
    return git.printed(root, "cat-file", "--filters", f"{revision}:./{path}")
