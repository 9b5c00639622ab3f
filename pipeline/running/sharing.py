"""Experiments shared by a remote of git and one of DVC, where machines share no file system.

An experiment's data goes before its reference, there and here: a reference says that all of it is there.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.core import seeding
from pipeline.core.errors import InputError
from pipeline.experiments import cloning, dvc_config
from pipeline.running import cells, lost_outputs
from pipeline.running.remotes import IncompleteError, Remotes, git, opened

# An empty file in DVC's remote, which each node writes before it trains.
CHECK = "orbweaver-check"


def there(remotes: Remotes) -> dict[str, tuple[str, str]]:
    """Return the reference and the commit of every experiment of a study in git's remote, by key."""
    lines = git(Path.cwd(), remotes, "ls-remote", "--refs", remotes.git, cloning.EXPERIMENTS).splitlines()
    pairs = (line.partition("\t")[::2] for line in lines)
    return cells.by_key((reference, (reference, commit)) for commit, reference in pairs)


def bring(root: Path, remotes: Remotes, keys: Collection[str]) -> int:
    """Fetch the experiments that are in the remotes and not here; return how many.

    Args:
        root: the project's root.
        remotes: where they are.
        keys: of those that are wanted.

    Raises:
        InputError: for a remote that does not answer or refuses.
        IncompleteError: for the first whose data is not there, after all others have come.
    """
    here, shared = cells.finished(root), there(remotes)
    new = {key: shared[key] for key in keys if key in shared and key not in here}
    lacking = []
    for reference, commit in tqdm(new.values(), "from the remotes", unit=" cells", disable=None if new else True):
        # Git's objects first, with no name: were this killed, nobody would take the experiment for whole.
        options = ("--quiet", "--no-tags", "--no-write-fetch-head")
        git(root, remotes, *cloning.NO_MAINTENANCE, "fetch", *options, remotes.git, reference)
        if missing := _fetch(root, remotes, commit):
            way_out = (
                f"`git push {remotes.git} :{reference}` takes the reference away, and the cell can be trained again"
            )
            lacking.append(f"{reference} is in git's remote, and {missing} is not in DVC's; {way_out}")
        else:
            cloning.git(root, "update-ref", reference, commit)
    if lacking:
        raise IncompleteError(lacking[0])
    return len(new)


def _fetch(root: Path, remotes: Remotes, commit: str) -> str:
    """Fetch a commit's data; return an output that is not whole then, empty where all are."""
    with suppress(IncompleteError), opened(root, remotes) as repo:
        if not _missing(repo, commit):
            return ""
        repo.fetch(revs=[commit], workspace=False, remote=remotes.dvc)
    with opened(root, remotes) as repo:
        return _missing(repo, commit)


def _missing(repo: Any, commit: str) -> str:
    """Return the first output of a commit that DVC's cache does not have whole; DVC itself only warns of these."""
    missing = ""
    for _ in repo.brancher(revs=[commit], workspace=False):
        for out in repo.index.outs:
            if not missing and out.use_cache and out.changed_cache():
                missing = str(out)
    return missing


def give(root: Path, remotes: Remotes, keys: Collection[str], *, run_cache: bool = False) -> int:
    """Push the experiments that are here and not in the remotes; return how many.

    Args:
        root: the project's root.
        remotes: where they go.
        keys: of those that are meant.
        run_cache: whether what DVC knows of its runs goes too, by which another machine takes over single stages.

    Raises:
        InputError: for a remote that does not answer or refuses.
        IncompleteError: for the first whose data is not here, after all others have gone.
    """
    shared = there(remotes)
    here = cells.by_key((reference, (reference, commit)) for reference, commit in cloning.experiments(root).items())
    new = {key: here[key] for key in keys if key in here and key not in shared}
    lacking = []
    for key, (reference, commit) in tqdm(new.items(), "to the remotes", unit=" cells", disable=None if new else True):
        # What this cache has no more may be in the remote.
        if missing := _fetch(root, remotes, commit):
            lacking.append(f"{reference} stays here: {missing} is neither in DVC's cache nor in its remote")
            continue
        with opened(root, remotes) as repo:
            repo.push(revs=[commit], workspace=False, remote=remotes.dvc, run_cache=run_cache)
        _push_reference(root, remotes, reference, key)
    if lacking:
        raise IncompleteError(lacking[0])
    return len(new)


def _push_reference(root: Path, remotes: Remotes, reference: str, key: str) -> None:
    try:
        git(root, remotes, "push", "--quiet", remotes.git, f"{reference}:{reference}")
    except InputError:
        # Another machine may have finished the same cell just then.
        if key not in there(remotes):
            raise


def give_stages(project: Path, remotes: Remotes) -> None:
    """Push what stages of an unfinished cell gave, which the next node then takes over; it has no reference.

    Raises:
        InputError: for a remote that does not answer or refuses.
    """
    with opened(project, remotes) as repo:
        repo.push(remote=remotes.dvc, run_cache=True)


def check(project: Path, remotes: Remotes) -> None:
    """Write to both remotes, before hours go by for a result that neither would take.

    Raises:
        InputError: for one that refuses.
    """
    with opened(project, remotes) as repo:
        remote = repo.cloud.get_remote(remotes.dvc)
        remote.fs.makedirs(remote.path, exist_ok=True)
        remote.fs.pipe_file(remote.fs.join(remote.path, CHECK), b"")
    git(project, remotes, "push", "--quiet", "--dry-run", remotes.git, f"HEAD:{cloning.CHANGES}{CHECK}")


def forget_lost(project: Path, remotes: Remotes) -> None:
    """Take stages out of the dvc.lock of a clone whose folders DVC's remote lacks, see `lost_outputs.forget`.

    Raises:
        InputError: for a remote that does not answer or refuses.
    """
    with opened(project, remotes) as repo:
        lost_outputs.forget(project, repo.cloud.get_remote_odb(remotes.dvc).exists)


def keep_commit(root: Path, remotes: Remotes, commit: str, study: str) -> str:
    """Put a commit into git's remote, for machines that check it out; return its reference, which no branch is.

    It is that of this clone's study alone, as another may need the same commit for longer.
    """
    reference = _reference(root, commit, study)
    git(root, remotes, "push", "--quiet", remotes.git, f"{commit}:{reference}")
    return reference


def drop_commit(root: Path, remotes: Remotes, commit: str, study: str) -> None:
    """Take it away again."""
    git(root, remotes, "push", "--quiet", remotes.git, f":{_reference(root, commit, study)}")


def _reference(root: Path, commit: str, study: str) -> str:
    owner = seeding.digest([os.uname().nodename, str(root.resolve()), study])
    return f"{cloning.CHANGES}{owner[: cells.KEY_LENGTH]}/{commit}"


def clone(remotes: Remotes, folder: Path, *, reference: str, commit: str, changes: str, prefix: str) -> Path:
    """Make a clone of git's remote with a DVC cache of its own, which has DVC's remote as its default.

    Args:
        remotes: both.
        folder: to be made.
        reference: where `keep_commit` put `changes`.
        commit: what is checked out.
        changes: the commit of changes to it, or `commit` itself.
        prefix: from the repository's top to the project's root.

    Returns:
        The project's root in it.
    """
    git(folder.parent, remotes, "clone", "--quiet", "--no-checkout", "--no-tags", remotes.git, str(folder))
    git(folder, remotes, "fetch", "--quiet", "--no-tags", remotes.git, reference)
    cloning.git(folder, "checkout", "--quiet", "--detach", commit)
    if changes != commit:
        # As the user has them: in the files, above the commit that the experiment is one of.
        cloning.git(folder, "restore", f"--source={changes}", "--staged", "--worktree", "--", ".")
    project = folder / prefix
    dvc_config.set_local(project, {f'remote "{remotes.dvc}"': remotes.options, "core": {"remote": remotes.dvc}})
    return project
