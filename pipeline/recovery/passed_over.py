"""The user's changes in git's stash where DVC was killed while it set an experiment up, and ran again since.

The second run knows nothing of the first one's stash: it begins from what the kill left in the files, and removes what
the mending of a set-up goes by. DVC's own stash of an experiment is in git's as well while DVC makes it, with the
user's changes below it, and while DVC applies it, when those are in no list any more.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline.core import git, paths
from pipeline.experiments import cloning
from pipeline.recovery import cut_experiments, leftovers, stashes
from pipeline.recovery.leftovers import Leftover

SHOWN = 3
# What DVC notes where it ends and HEAD was on no branch when it began.
RAN_DETACHED = re.compile("dvc: Restore HEAD to '[0-9a-f]{40,64}'")
# In git, and written anew by every run.
WRITTEN_BY_STAGES = {place.as_posix() for place in (paths.RECIPE, paths.LOCK, paths.SUMMARY, paths.CURVES)}


class Change(NamedTuple):
    """One file of the user's changes.

    Attributes:
        path: relative to the project's root.
        wanted: its content with the changes and all newer ones; None where it is to be removed.
        clashes: whether newer changes are at the same lines, so that `wanted` is what is there.
    """

    path: str
    wanted: bytes | None
    clashes: bool


def changes(root: Path) -> Iterator[Leftover]:
    """Find the user's changes that only git's stash has, and HEAD off its branch where there were none."""
    if leftovers.sets_up_cut(root) or cut_experiments.is_cut(root):
        return
    # What each experiment in git's stash was made of.
    made_of = {experiment: stashes.before(root, experiment) for experiment in stashes.experiments(root)}
    queued = stashes.queued(root) if made_of else set()
    listed = stashes.put_there_by_dvc(root)
    lost = [changes for experiment, changes in made_of.items() if changes and experiment not in queued]
    for commit in dict.fromkeys([*listed, *lost]):
        experiments = [experiment for experiment, changes in made_of.items() if changes == commit]
        place = stashes.name(root, commit if commit in listed else experiments[0])
        files = stashes.differing(root, f"{commit}^", commit)
        what = f"{place}: your changes of {_some(files)}, left by a `dvc exp run` that was killed before the last one"
        way_back = f"git stash show --patch {commit[:12]}"
        yield Leftover(what, way_back, partial(_bring_back, root, commit, experiments))
    for experiment, commit in made_of.items():
        if not commit and experiment not in queued:
            place = stashes.name(root, experiment)
            what = f"{place}: what a killed `dvc exp run` was to run, without changes of yours from before it"
            yield Leftover(what, f"git stash drop '{place}'", partial(_put_aside, root, experiment))
    if (branch := stashes.branch(root)) and _ran_detached(root):
        what = f"HEAD is detached from {branch}, by a `dvc exp run` that was killed before the last one"
        yield Leftover(what, f"git switch {branch}", partial(_attach, root, branch))


def _ran_detached(root: Path) -> bool:
    """Return whether DVC has run where HEAD is, since HEAD is on no branch; a run that fails leaves a reference alone.

    The reference of a run before that proves nothing: git notes the user's own checkout of a commit as DVC's.
    """
    ran_at = git.lines(root, "rev-parse", "--verify", "--quiet", f"{stashes.EXEC}/EXEC_HEAD")
    moment, moves = _since_detached(root)
    began_here = bool(ran_at) and ran_at == git.lines(root, "rev-parse", "HEAD") and _last_run(root) >= moment + 1
    return began_here or any(RAN_DETACHED.match(line) for line in moves)


def _since_detached(root: Path) -> tuple[int, list[str]]:
    """Return when HEAD was detached, in seconds since 1970, and its moves since, the newest first."""
    moves: list[str] = []
    for line in git.lines(root, "reflog", "-20", "--date=unix", "--format=%gd %gs", "HEAD"):
        place, _, move = line.partition(" ")
        if move.startswith("checkout: "):
            return int(place.removeprefix("HEAD@{").removesuffix("}")), moves
        moves.append(move)
    return 0, []


def _last_run(root: Path) -> float:
    """Return when DVC last wrote or removed a reference of a run that is in the user's own files; 0 for never."""
    for folder in git.lines(root, "rev-parse", "--git-path", stashes.EXEC):
        with suppress(FileNotFoundError):
            return (root / folder).stat().st_mtime
    return 0.0


def _attach(root: Path, branch: str) -> str:
    stashes.attach(root, branch)
    return f"back on {branch}"


def _some(files: Sequence[str]) -> str:
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return ", ".join(files[:SHOWN]) + more


def _put_aside(root: Path, experiment: str) -> str:
    """Drop an experiment from git's stash, and keep its files: a commit of changes is gone where git removed it."""
    files = stashes.differing(root, f"{experiment}^", experiment)
    folder = cut_experiments.keep(root, files, experiment)
    stashes.drop(root, experiment)
    return f"removed{cut_experiments.kept_in(folder)}"


def _bring_back(root: Path, commit: str, experiments: Sequence[str]) -> str:
    """Put changes back into the files, newer ones kept; where both are at the same lines, no file is changed.

    Args:
        root: the project's root.
        commit: of the changes, in git's stash or in no list any more.
        experiments: what DVC made of them and left in git's stash. What waits in its queue, the queue has itself.
    """
    stashes.put_back(root, commit)
    stashes.drop(root, *experiments)
    files = stashes.differing(root, f"{commit}^", commit)
    found = [_change(root, commit, path, experiments) for path in files]
    place = stashes.name(root, commit)
    if clashing := [one.path for one in found if one.clashes]:
        return (
            f"left as it is, as {_some(clashing)} changed since at the same lines: look at both with "
            f"`git diff '{place}' -- {clashing[0]}`, put into it what you want, then `git stash drop '{place}'`"
        )
    changed = [one for one in found if one.wanted != cut_experiments.content_now(root / one.path)]
    folder = cut_experiments.keep(root, [one.path for one in changed])
    for one in changed:
        _write(root, commit, one)
    staged_now = set(stashes.differing(root, "--cached", "HEAD"))
    for path in stashes.differing(root, f"{commit}^", f"{commit}^2"):
        if path not in staged_now:
            cloning.git(root, "--literal-pathspecs", "reset", "--quiet", f"{commit}^2", "--", path)
    stashes.attach(root, stashes.branch(root))
    stashes.drop(root, commit)
    return f"back in your files{cut_experiments.kept_in(folder)}"


def _change(root: Path, commit: str, path: str, experiments: Sequence[str]) -> Change:
    """Return how a file gets its changes back.

    What stages write, and what is as it was committed then, without content, or as DVC made it for one of the
    experiments or left it after the last, is no change of the user's.
    """
    now, before, then = (
        cut_experiments.content_now(root / path),
        stashes.content(root, f"{commit}^", path),
        stashes.content(root, commit, path),
    )
    of_dvc = {None, b"", before, then, *(stashes.content(root, experiment, path) for experiment in experiments)}
    if git.lines(root, "rev-parse", "HEAD") == git.lines(root, "rev-parse", f"{commit}^"):
        newest = ("--sort=-committerdate", "--count=1", "--format=%(objectname)", cloning.EXPERIMENTS)
        of_dvc |= {stashes.content(root, last, path) for last in git.lines(root, "for-each-ref", *newest)}
    if now in of_dvc or path in WRITTEN_BY_STAGES:
        return Change(path, then, clashes=False)
    merged = None if before is None or then is None or now is None else _merged(now, before, then)
    return Change(path, now if merged is None else merged, clashes=merged is None)


def _merged(now: bytes, before: bytes, then: bytes) -> bytes | None:
    """Return a text with both its changes; None where they are at the same lines."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("now", "before", "then")]
        for file, content in zip(files, (now, before, then), strict=True):
            file.write_bytes(content)
        done = subprocess.run(("git", "merge-file", "-p", "--quiet", *files), capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _write(root: Path, commit: str, one: Change) -> None:
    file = root / one.path
    if one.wanted is None:
        file.unlink(missing_ok=True)
        return
    with paths.written_whole(file) as target:
        target.write_bytes(one.wanted)
        if any(line.startswith("100755") for line in git.lines(root, "ls-tree", commit, one.path)):
            target.chmod(0o755)
