"""Git's account of the user's changes that DVC had put away, and of where HEAD was."""

import re
import subprocess
from pathlib import Path

from pipeline.commands import cloning
from pipeline.commands.revisions import git

MERGE, BASELINE = "refs/exps/exec/EXEC_MERGE", "refs/exps/exec/EXEC_BASELINE"
# What the message of DVC's own stash has.
OF_DVC = "dvc-exp:"
# Seconds that DVC may take from the user's stash to its own.
SET_UP_SECONDS = 120
# In what else the user's stash and DVC's may differ.
WRITTEN_BY_DVC = {"params.yaml", "dvc.lock", "repro.dat"}


def before_the_run(root: Path) -> str:
    """Return the commit with the user's changes of before the run; empty where there were none.

    It is in no list any more; it has DVC's baseline as its first parent, and comes shortly before DVC's own.
    """
    merged = git(root, "log", "-1", "--format=%ct", MERGE)
    base = git(root, "rev-parse", "--verify", "--quiet", BASELINE)
    if not merged or not base:
        return ""
    lost = git(root, "fsck", "--unreachable", "--no-reflogs", "--connectivity-only", "--no-progress")
    commits = [line.split()[2] for line in lost if line.startswith("unreachable commit ")]
    told = git(root, "log", "--no-walk", "--format=%ct %H %P %s", *commits) if commits else []
    found = []
    for line in told:
        moment, commit, first, *rest = line.split(" ")
        is_stash = first == base[0] and rest and re.fullmatch("[0-9a-f]{40,64}", rest[0])
        if is_stash and OF_DVC not in line and 0 <= int(merged[0]) - int(moment) <= SET_UP_SECONDS:
            differing = git(root, "diff", "--name-only", commit, MERGE)
            if {Path(name).name for name in differing} <= WRITTEN_BY_DVC:
                found.append((int(moment), commit))
    return max(found, default=(0, ""))[1]


def since(root: Path, began: float) -> str:
    """Return the commit of the user's changes in git's stash, if DVC put it there since it began; else empty."""
    for commit, moment, message in listed(root):
        if OF_DVC not in message:
            return commit if int(moment) >= int(began) - 1 else ""
    return ""


def listed(root: Path) -> list[tuple[str, str, str]]:
    """Return git's list of stashes, the newest first: commit, seconds since 1970, message."""
    lines = git(root, "stash", "list", "--format=%H %ct %gs")
    return [(commit, moment, message) for commit, moment, message in (line.split(" ", 2) for line in lines)]


def put_there_by_dvc(root: Path) -> list[str]:
    """Return the commits of the user's changes that DVC put into git's stash and that still are there.

    DVC stashes with libgit2, which ends the message of the commit of what is staged with two line ends, git with one.
    """
    theirs = [commit for commit, _, message in listed(root) if OF_DVC not in message]
    return [commit for commit in theirs if _raw(root, f"{commit}^2").endswith(b"\n\n")]


def _raw(root: Path, commit: str) -> bytes:
    return subprocess.run(("git", "cat-file", "commit", commit), cwd=root, capture_output=True, check=False).stdout


def name(root: Path, commit: str) -> str:
    """Return git's name of a commit in its stash, such as `stash@{0}`."""
    return next(f"stash@{{{number}}}" for number, one in enumerate(listed(root)) if one[0] == commit)


def drop_dvcs_own(root: Path) -> None:
    """Drop DVC's own stash from git's list, where it is for a moment."""
    numbers = [number for number, (_, _, message) in enumerate(listed(root)) if OF_DVC in message]
    for number in reversed(numbers):
        cloning.git(root, "stash", "drop", "--quiet", f"stash@{{{number}}}")


def branch(root: Path) -> str:
    """Return the branch that DVC detached HEAD from, if it still is where HEAD is; empty where HEAD is on a branch."""
    if git(root, "symbolic-ref", "--quiet", "HEAD"):
        return ""
    head = git(root, "rev-parse", "HEAD")
    for line in git(root, "reflog", "-20", "--format=%gs", "HEAD"):
        match = re.fullmatch(r"checkout: moving from (\S+) to ([0-9a-f]{40,64})", line)
        if match and git(root, "rev-parse", "--verify", "--quiet", f"refs/heads/{match[1]}") == head:
            return match[1]
    return ""


def attach(root: Path, branch: str) -> None:
    """Put HEAD back on a branch whose commit it has; empty is none."""
    if branch:
        cloning.git(root, "symbolic-ref", "-m", f"orbweaver: back on {branch}", "HEAD", f"refs/heads/{branch}")


def content(root: Path, revision: str, path: str) -> bytes | None:
    """Return a file of a revision, with the bytes that a checkout gives; None where it is in none."""
    words = ("git", "cat-file", "--filters", f"{revision}:./{path}")
    done = subprocess.run(words, cwd=root, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None
