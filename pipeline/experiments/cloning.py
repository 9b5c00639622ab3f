"""A temporary clone of the project at a run's commit, with its changes, and DVC run in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.core import paths, seeding, shell
from pipeline.core.errors import InputError, rooms
from pipeline.core.git import check_owner
from pipeline.experiments import dvc_process, temporary

# Theirs that would have a program in the clone work elsewhere.
OF_ELSEWHERE = ("DVC_", "MLFLOW_", "GIT_", paths.ROOT_VARIABLE)
# Those of git's that say how a remote is reached.
OF_ACCESS = ("GIT_ASKPASS", "GIT_HTTP_", "GIT_PROXY_", "GIT_SSH", "GIT_SSL_", "GIT_TERMINAL_PROMPT")
# Git's references of changes that were not committed, until no job of a cluster needs them.
CHANGES = "refs/orbweaver/changes/"
# Those of DVC's experiments: each has the commit that it was made from in two parts, and then its name.
EXPERIMENTS = "refs/exps/??/*/*"
# Of what git says where a disk is full; the system's own reason it leaves out.
UNWRITTEN = ("unable to write", "cannot write", "could not write", "write error", "No space left on device")
# A fetch that does not tidy up the user's repository besides.
NO_MAINTENANCE = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")


@contextmanager
def cloned(root: Path, commit: str, changes: str, *, keep: bool, place: Path | None = None) -> Iterator[Path]:
    """Yield the project as it was, in a folder of its own that is deleted in the end, also after Ctrl-C.

    Git's objects are shared with the clone it is made from; DVC's cache is its own, so that nothing is taken from
    there instead of being made.

    Args:
        root: the project's root in the user's clone.
        commit: what to check out.
        changes: what to apply to it.
        keep: leave the folder where it is.
        place: where the folder is made; None for the system's own.

    Yields:
        The project's root in the temporary clone.

    Raises:
        InputError: if the commit is not there, or the changes do not fit it.
    """
    _check_commit(root, commit)
    with temporary.folder(place, keep=keep) as folder:
        project = make(root, folder / "clone", commit)
        if changes:
            # Its names are below the project's root; in a folder git would take them from the top, and leave them out.
            below = git(root, "rev-parse", "--show-prefix")
            words = [f"--directory={below}"] if below else []
            git(folder / "clone", "apply", "--whitespace=nowarn", *words, given=changes)
        (project / paths.LOCK).unlink(missing_ok=True)
        yield project


def make(root: Path, clone: Path, commit: str) -> Path:
    """Make a clone that shares git's objects with the user's; return the project's root in it."""
    top = root / git(root, "rev-parse", "--show-cdup")
    git(root, "clone", "--quiet", "--shared", "--no-checkout", str(top), str(clone))
    if git(root, "rev-parse", "--is-shallow-repository") == "true":
        _share_objects(root, clone)
    git(clone, "checkout", "--quiet", "--detach", commit)
    return clone / git(root, "rev-parse", "--show-prefix")


def _share_objects(root: Path, clone: Path) -> None:
    """Share the objects of a shallow clone: from one, `git clone --shared` copies what its branches have instead."""
    objects, ends = (root / git(root, "rev-parse", "--git-path", name) for name in ("objects", "shallow"))
    (clone / ".git/objects/info/alternates").write_bytes(os.fsencode(objects.resolve()) + b"\n")
    shutil.copyfile(ends, clone / ".git/shallow")


def _check_commit(root: Path, commit: str) -> None:
    try:
        git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except InputError:
        raise InputError(
            f"commit {commit[:12]} is not in this clone: `git fetch` it from the clone that made the run"
        ) from None


def experiments(root: Path) -> dict[str, str]:
    """Return the commit of each of DVC's experiments, by its reference.

    Raises:
        InputError: where git does not answer, as outside a repository.
    """
    lines = git(root, "for-each-ref", "--format=%(refname) %(objectname)", EXPERIMENTS).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


def resolved(root: Path, revision: str) -> str | None:
    """Return the commit of a name: git's own, or a DVC experiment's; None where there is none.

    Raises:
        InputError: for a name that experiments of several commits have, none of which is checked out, as DVC does; in
            another user's clone, which git refuses.
    """
    try:
        listed = experiments(root)
    except InputError:
        check_owner(root)
        return None
    parts = ((commit, *reference.split("/", 4)[2:]) for reference, commit in listed.items())
    by_origin = {first + rest: commit for commit, first, rest, name in parts if name == revision}
    if by_origin:
        return _one_of(root, revision, by_origin)
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except InputError:
        return None


def _one_of(root: Path, name: str, by_origin: Mapping[str, str]) -> str:
    """Return an experiment's commit; of several of its name, by the commit each was made from, that from HEAD."""
    if len(set(by_origin.values())) == 1:
        return next(iter(by_origin.values()))
    if commit := by_origin.get(git(root, "rev-parse", "HEAD")):
        return commit
    places = ", ".join(f"{commit[:12]} made from {origin[:12]}" for origin, commit in sorted(by_origin.items()))
    raise InputError(f"{name}: several experiments have this name: {places}; name the commit instead")


def changes_of(root: Path) -> str:
    """Return a commit of the changes that are not committed; empty where there are none.

    Git may remove it after days, unless `keep_changes` keeps it.
    """
    # Where a file's time alone has changed, `git stash create` fails.
    if not git(root, "status", "--porcelain", "--untracked-files=no"):
        return ""
    return git(root, "-c", "user.name=orbweaver", "-c", "user.email=orbweaver@localhost", "stash", "create")


def keep_changes(root: Path, commit: str) -> None:
    """Keep such a commit by a reference."""
    git(root, "update-ref", CHANGES + commit, commit)


def export(root: Path, commit: str, place: str, folder: Path) -> None:
    """Write a folder of a commit; what contains `folder` is made whole, or not at all.

    Args:
        root: the project's root.
        commit: which has it.
        place: from the repository's top.
        folder: to be made, in one of its own.
    """
    partial = folder.parent.resolve().with_name(f"{folder.parent.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    archive = partial / "all.zip"
    # In a folder git would look for that one in the tree.
    top = root / git(root, "rev-parse", "--show-cdup")
    git(top, "archive", "--format=zip", f"--output={archive}", f"{commit}:{place}")
    shutil.unpack_archive(archive, partial / folder.name)
    archive.unlink()
    partial.rename(folder.parent)


def drop_changes(root: Path, commit: str) -> None:
    """Let git remove such a commit."""
    git(root, "update-ref", "-d", CHANGES + commit)


def run_dvc(project: Path, *words: str) -> None:
    """Run DVC there, with what it prints on standard error; it ends with this process, and with all that it started.

    Raises:
        InputError: if it fails.
    """
    if dvc_process.run(project, words, environment()):
        raise InputError(f"`dvc {shell.join(words)}` failed in the temporary clone, see above; --keep leaves it there")


def neutral(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables without those that would have a program in a clone work elsewhere."""
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith(OF_ELSEWHERE) or name.startswith(OF_ACCESS)
    }


def environment() -> Mapping[str, str]:
    """Return the user's environment, with this interpreter's programs first and the clone's own places."""
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return neutral(os.environ) | {"PATH": search, "DVC_NO_ANALYTICS": "1", seeding.MORE_THREADS: "yes"}


def git(folder: Path, *words: str, given: str | None = None) -> str:
    """Return the output of git.

    Raises:
        InputError: with git's own line, if it fails.
    """
    command: Sequence[str] = ("git", *words)
    done = subprocess.run(command, cwd=folder, env=environment(), input=_bytes(given), capture_output=True)
    if done.returncode:
        raise InputError(f"git {words[0]}: {_reason(done.stderr.decode('utf-8', 'replace').strip(), folder)}")
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def _reason(said: str, folder: Path) -> str:
    """Return why git failed: its own lines, but of files that cannot be written the first alone, with the room."""
    if first := next((line for line in said.splitlines() if any(words in line for words in UNWRITTEN)), ""):
        return f"{first} ({rooms(folder)}); make room, or set TMPDIR to a larger disk"
    return said or "failed"


def _bytes(given: str | None) -> bytes | None:
    # As read below: names and content that are not UTF-8 stay as they are.
    return None if given is None else given.encode("utf-8", "surrogateescape")
