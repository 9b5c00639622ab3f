"""Repair of the user's own files after a killed `dvc exp run`.

DVC stashes the user's changes, detaches HEAD, writes params.yaml, makes a second stash of that, puts the first back
and runs the stages with the second applied. Git keeps the first as an object, so that params.yaml of before is known.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.core import git, lockfile, paths, shell
from pipeline.core.errors import InputError
from pipeline.core.files import parse_yaml, read_yaml
from pipeline.core.shortening import cut
from pipeline.core.yaml_limits import CONFLICT
from pipeline.experiments import cloning
from pipeline.recovery import leftovers, stashes
from pipeline.recovery.leftovers import KEPT, Leftover

# These stay, the first after every run of an experiment, the second after `dvc exp apply`.
STAY = (f"{stashes.EXEC}/EXEC_HEAD", f"{stashes.EXEC}/EXEC_APPLY")
PENDING = "refs/exps/stash"
ARGUMENTS = Path(".dvc/tmp/repro.dat")
RUN = Path(".dvc/tmp/exps/run/workspace")


def set_up(root: Path) -> Iterator[Leftover]:
    """Find that DVC was killed while it had the user's changes in git's stash."""
    if not leftovers.sets_up_cut(root):
        return
    began = (root / leftovers.RWLOCKS[1]).stat().st_mtime
    stash, branch = stashes.since(root, began), stashes.branch(root)
    steps = [*([f"git switch {branch}"] if branch else []), "git reset --hard", *(["git stash pop"] if stash else [])]
    state = f"{paths.PARAMS} is not as you left it"
    if stash:
        state = f"your changes are in git's stash, {state}"
    elif not _is_detached_by_dvc(root):
        steps, state = ["none is needed"], "before it touched your files"
    what = f"`dvc exp run` was killed while it set an experiment up: {state}"
    yield Leftover(what, " && ".join(steps), lambda: _undo_set_up(root, began, branch))


def _undo_set_up(root: Path, began: float, branch: str) -> str:
    stash = stashes.since(root, began)
    is_touched = bool(stash) or _is_detached_by_dvc(root)
    folder = keep(root, _changed(root) if is_touched else [])
    stashes.drop(root, *stashes.experiments(root, began))
    if is_touched:
        cloning.git(root, "reset", "--quiet", "--hard")
    if stash:
        place = stashes.name(root, stash)
        try:
            cloning.git(root, "stash", "pop", "--quiet", "--index", place)
        except InputError:
            cloning.git(root, "stash", "pop", "--quiet", place)
    stashes.attach(root, branch)
    _forget(root)
    # What all this was known by goes last: a kill here too leaves what is to be mended.
    (root / leftovers.RWLOCKS[1]).unlink(missing_ok=True)
    return f"all is as before{kept_in(folder)}"


def run(root: Path) -> Iterator[Leftover]:
    """Find that DVC was killed while it ran an experiment in the user's own files."""
    if leftovers.sets_up_cut(root) or not (left := is_cut(root)):
        return
    branch, files = stashes.branch(root), _half_applied(root)
    params = next((before for path, before in files if path == paths.PARAMS.as_posix()), None)
    what = "`dvc exp run` was killed" + (f", which leaves {_differing(root, params)}" if params is not None else "")
    if branch:
        what += f"; HEAD is detached from {branch}"
    source = [f"--source={commit[:12]}"] if (commit := stashes.before_the_run(root)) else []
    restore = shell.join(["git", "restore", *source, *(path for path, _ in files)]) if files else ""
    steps = [*([f"git switch {branch}"] if branch else []), *([restore] if restore else [])]
    yield Leftover(what, " && ".join(steps) or f"git update-ref -d {left[0]}", lambda: _undo_run(root, branch))


def is_cut(root: Path) -> list[str]:
    """Return the references that DVC keeps while it runs an experiment and no longer."""
    return [ref for ref in git.lines(root, "for-each-ref", "--format=%(refname)", stashes.EXEC) if ref not in STAY]


def _undo_run(root: Path, branch: str) -> str:
    files, stash = _half_applied(root), stashes.before_the_run(root)
    folder = keep(root, [path for path, _ in files])
    for path, before in files:
        with paths.written_whole(root / path) as target:
            target.write_bytes(before)
    stashes.attach(root, branch)
    stashes.drop(root, *git.lines(root, "rev-parse", "--verify", "--quiet", stashes.MERGE))
    _forget(root)
    # A stash's second parent is what was staged.
    cloning.git(root, "read-tree", f"{stash}^2" if stash else "HEAD")
    names = ", ".join(path for path, _ in files)
    return f"{names} as before the run{kept_in(folder)}" if files else f"its references are removed{_left(root)}"


def _left(root: Path) -> str:
    """Return what params.yaml has that is not committed, the user's or an earlier kill's; "" for nothing."""
    committed = stashes.content(root, "HEAD", paths.PARAMS.as_posix())
    if committed is None or content_now(root / paths.PARAMS) == committed:
        return ""
    by_hand = shell.join(["git", "restore", "--staged", "--worktree", paths.PARAMS.as_posix()])
    return f"; left as it is: {_differing(root, committed)}, which `{by_hand}` takes back"


def pending(root: Path) -> Iterator[Leftover]:
    """Find an experiment that was set up and not begun, which the next `dvc exp run` would run, and its arguments."""
    if leftovers.sets_up_cut(root) or is_cut(root):
        return
    if git.lines(root, "for-each-ref", PENDING):
        what = f"{PENDING}: an experiment that was set up and not run; the next `dvc exp run` would run it as well"
        yield Leftover(what, f"git update-ref -d {PENDING}", lambda: _forget(root))
    elif git.lines(root, "ls-files", ARGUMENTS.as_posix()):
        what = f"{ARGUMENTS}: staged in git by a `dvc exp run` that was killed"
        yield Leftover(what, f"git rm --cached {ARGUMENTS}", lambda: _forget(root))


def damaged(root: Path) -> Iterator[Leftover]:
    """Find that params.yaml or dvc.lock has no content, or is no YAML, where nothing above has the way back."""
    if leftovers.sets_up_cut(root) or is_cut(root):
        return
    for path in (paths.PARAMS, paths.LOCK):
        file = root / path
        if not file.exists() or (fault := _fault(file)) is None:
            continue
        if before := stashes.content(root, "HEAD", path.as_posix()):
            # Of dvc.lock nothing is the user's, unless a merge waits for its end.
            harmless = path == paths.LOCK and not CONFLICT.search(file.read_text(encoding="utf-8", errors="replace"))
            yield Leftover(
                f"{path}: {fault}", f"git restore {path}", _restorer(root, path, before), is_harmless=harmless
            )
        elif path == paths.LOCK:
            # Never committed: DVC writes it anew, and has the results of finished stages in its cache.
            yield Leftover(f"{path}: {fault}", f"rm {path}", _remover(root, path), is_harmless=True)


def _restorer(root: Path, path: Path, before: bytes) -> Callable[[], str]:
    def mend() -> str:
        folder = keep(root, [path.as_posix()])
        with paths.written_whole(root / path) as target:
            target.write_bytes(before)
        return f"as committed{kept_in(folder)}"

    return mend


def _remover(root: Path, path: Path) -> Callable[[], str]:
    def mend() -> str:
        folder = keep(root, [path.as_posix()])
        (root / path).unlink()
        return f"removed; DVC writes it again{kept_in(folder)}"

    return mend


def _fault(file: Path) -> str | None:
    """Return what is wrong with params.yaml or dvc.lock; None where DVC can read it."""
    try:
        if file.name == paths.LOCK.name:
            # The limits of settings are not those of dvc.lock, which grows with the repeats.
            lockfile.check_whole(file.read_bytes())
            return None
        return None if isinstance(read_yaml(file), dict) else "has no content"
    except InputError as error:
        return " ".join(str(error).split())[:120]


def _half_applied(root: Path) -> list[tuple[str, bytes]]:
    """Return the files that are DVC's and not the user's as they were before, each with its content of then.

    A file that neither is as DVC applied it, nor as committed, nor empty was changed since, and is the user's.
    """
    before = stashes.before_the_run(root)
    changed = stashes.differing(root, "HEAD", before) if before else []
    found = []
    for path in {*changed, paths.PARAMS.as_posix()}:
        then, now = stashes.content(root, before or "HEAD", path), content_now(root / path)
        dvcs = (b"", None, stashes.content(root, stashes.MERGE, path), stashes.content(root, "HEAD", path))
        if then is not None and now != then and now in dvcs:
            found.append((path, then))
    return sorted(found)


def _differing(root: Path, before: bytes) -> str:
    """Return the settings that a run left in params.yaml, such as `freeze: 3c (was auto)`."""
    try:
        now, then = read_yaml(root / paths.PARAMS), parse_yaml(before, paths.PARAMS)
    except (InputError, FileNotFoundError):
        now = then = None
    if not isinstance(now, dict) or not isinstance(then, dict):
        return f"{paths.PARAMS} half written"
    differing = [key for key in now if now[key] != then.get(key)]
    changes = [f"{key}: {cut(str(now[key]), 30)} (was {cut(str(then.get(key)), 30)})" for key in differing]
    if not changes:
        return f"{paths.PARAMS} as committed, without your changes"
    return f"{', '.join(changes)} in {paths.PARAMS}"


def _is_detached_by_dvc(root: Path) -> bool:
    return bool(stashes.branch(root)) or bool(git.lines(root, "ls-files", ARGUMENTS.as_posix()))


def _forget(root: Path) -> str:
    """Remove DVC's references, arguments and note of a run that is no more."""
    for ref in git.lines(root, "for-each-ref", "--format=%(refname)", stashes.EXEC, PENDING, "refs/exps/temp"):
        cloning.git(root, "update-ref", "--no-deref", "-d", ref)
    cloning.git(root, "rm", "--quiet", "--cached", "--force", "--ignore-unmatch", ARGUMENTS.as_posix())
    (root / ARGUMENTS).unlink(missing_ok=True)
    (root / RUN / "workspace.json").unlink(missing_ok=True)
    return "removed"


def _changed(root: Path) -> list[str]:
    return stashes.differing(root, "HEAD")


def keep(root: Path, files: Sequence[str], revision: str = "") -> Path | None:
    """Copy files, as they are or as a revision has them, to a folder of their own; None where there is none to keep."""
    contents = {
        path: stashes.content(root, revision, path) if revision else content_now(root / path)
        for path in files
        if path != ARGUMENTS.as_posix()
    }
    folder = _new_folder(root)
    present = {path: content for path, content in contents.items() if content is not None}
    for path, content in present.items():
        target = root / folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder if present else None


def _new_folder(root: Path) -> Path:
    """Return a folder that is not there yet: several things may be mended within a second."""
    first = KEPT / time.strftime("%Y-%m-%d-%H%M%S")
    names = (first, *(first.with_name(f"{first.name}-{number}") for number in range(2, 1000)))
    return next(folder for folder in names if not (root / folder).exists())


def kept_in(folder: Path | None) -> str:
    """Return words for where files are kept."""
    return f"; what was there is in {folder}" if folder else ""


def content_now(file: Path) -> bytes | None:
    """Return the content of a file; None where there is none."""
    return file.read_bytes() if file.is_file() else None
