"""Leftovers of kills in a clone, and how each is mended; nothing that belongs to a living process is touched."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from pipeline.core import git, paths
from pipeline.running import cell_clones

TEMPORARY = Path(".dvc/tmp")
# What mending replaces is kept here.
KEPT = TEMPORARY / "mended"
RWLOCKS = (TEMPORARY / "rwlock", TEMPORARY / "exps/rwlock")
# What DVC holds in the second while it sets an experiment up with the user's files in its hands.
SETS_UP = {"workspace", "refs/exps/stash"}
COPIES = ("exps/standalone/tmp*", "exps/tmp*")
OUTPUTS = (Path("data"), Path("models"), Path("metrics"))
# A lock of git's that is younger may be that of a command which has just ended or begins.
GIT_LOCK_SECONDS = 5.0
LOOK_EVERY = 0.1
OF_DVC = ("dvc", "git", "celery")


class Leftover(NamedTuple):
    """One thing that a kill left.

    Attributes:
        what: a line's part: what is there.
        way_back: what to do about it by hand.
        mend: does it; returns what was done.
        is_harmless: whether no content of the user's is touched, so that it is mended unasked.
        does: what `orbweaver doctor --mend` does about it.
    """

    what: str
    way_back: str
    mend: Callable[[], str]
    is_harmless: bool = False
    does: str = "goes back"


def at_work(root: Path) -> list[psutil.Process]:
    """Return the living processes of DVC and git in a clone, but this one, those above it, and studies' cells."""
    own = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    cells = {process.pid for process in cell_clones.at_work_in(root / cell_clones.PLACE)}
    processes = {process.pid: process for process in cell_clones.at_work_in(root) if _is_of_dvc(process)}
    for blocker in holders(root):
        with suppress(psutil.Error):
            processes.setdefault(blocker, psutil.Process(blocker))
    return [process for number, process in sorted(processes.items()) if number not in own | cells]


def _is_of_dvc(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        words = process.cmdline()
        return any(Path(word).name in OF_DVC or word.startswith("pipeline.stages.") for word in words[:6])
    return False


def in_the_users_files(root: Path) -> set[int]:
    """Return the numbers of the living processes of DVC that run stages in the user's own files, not in a copy."""
    found = holders(root)
    for process in at_work(root):
        with suppress(psutil.Error):
            words, here = process.cmdline(), Path(process.cwd()) == root.resolve()
            runs = "repro" in words or ("exp" in words and "run" in words)
            if here and runs and not {"--temp", "--queue"} & set(words):
                found.add(process.pid)
    return found


def holders(root: Path) -> set[int]:
    """Return the numbers of the living processes that DVC's files of locks name."""
    return {one["pid"] for place in RWLOCKS for one in _entries(_locks(root / place)) if _holds(one, root / place)}


def _holds(one: dict[str, Any], file: Path) -> bool:
    """Return whether who is named in a file of locks still lives, and is not another process with that number.

    One that began after the file was written is another, as is one that is at work elsewhere and no DVC: after a start
    of the machine, and where a container has numbers of its own.
    """
    try:
        process = psutil.Process(one["pid"])
        if process.create_time() > file.stat().st_mtime + 1:
            return False
        return _is_of_dvc(process) or Path(process.cwd()).is_relative_to(_root(file))
    except psutil.AccessDenied:
        return True
    except (psutil.Error, OSError):
        return False


def _root(file: Path) -> Path:
    """Return the root of the clone that a file of locks is in."""
    return next(folder.parent for folder in file.resolve().parents if folder.name == ".dvc")


def sets_up_cut(root: Path) -> bool:
    """Return whether DVC was killed while it set an experiment up, with the user's files in its hands."""
    file = root / RWLOCKS[1]
    write = (_locks(file) or {}).get("write", {})
    named = [write[key] for key in SETS_UP & set(write)]
    return bool(named) and not any(_holds(one, file) for one in named)


def locks(root: Path) -> Iterator[Leftover]:
    """Find files of locks without content, which stop every command of DVC, and locks of dead processes."""
    for place in RWLOCKS:
        file = root / place
        if not file.exists():
            continue
        content = _locks(file)
        if content is None:
            yield Leftover(f"{place}: unreadable, which stops every DVC command", f"rm {place}", _cleared(file), True)
            continue
        # Who set an experiment up is what the mending of that goes by.
        dead = sorted({one["pid"] for one in _entries(_without_set_up(content)) if not _holds(one, file)})
        if dead:
            what = f"{place}: locks of {'processes' if len(dead) > 1 else 'process'} {_joined(dead)}, no longer there"
            yield Leftover(what, "none is needed: DVC passes over them", _cleared(file), True)


def _without_set_up(content: dict[str, Any]) -> dict[str, Any]:
    return content | {"write": {key: one for key, one in content.get("write", {}).items() if key not in SETS_UP}}


def _joined(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _cleared(file: Path) -> Callable[[], str]:
    """Return a function that rewrites a file of locks with those of living processes, under DVC's own guard."""

    def mend() -> str:
        from dvc.config import Config
        from dvc.exceptions import DvcException
        from dvc.lock import make_lock

        guard = str(file.with_name("rwlock.lock"))
        try:
            hard = Config(str(_root(file) / ".dvc"))["core"].get("hardlink_lock", False)
            with make_lock(guard, tmp_dir=str(file.parent), hardlink_lock=hard):
                _keep_the_living(file)
        except DvcException:
            return f"left as it is, as another process holds {guard}"
        return "cleared"

    return mend


def _keep_the_living(file: Path) -> None:
    content = _locks(file) or {}
    kept: dict[str, Any] = {"read": {}, "write": {}}
    for key, ones in content.get("read", {}).items():
        if living := [one for one in ones if _holds(one, file)]:
            kept["read"][key] = living
    for key, one in content.get("write", {}).items():
        if _holds(one, file) or key in SETS_UP:
            kept["write"][key] = one
    with paths.written_whole(file) as target:
        target.write_text(json.dumps(kept), encoding="utf-8")


def _locks(file: Path) -> dict[str, Any] | None:
    """Return the content of a file of locks; None where it is none."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        content = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(content, dict) and all(isinstance(one.get("pid"), int) for one in _entries(content)):
            return content
    return None if file.exists() else {}


def _entries(content: dict[str, Any] | None) -> list[dict[str, Any]]:
    content = content or {}
    return [*content.get("write", {}).values(), *(one for ones in content.get("read", {}).values() for one in ones)]


def git_locks(root: Path) -> Iterator[Leftover]:
    """Find the locks of git's that a killed git or DVC left, which stop every command that writes."""
    for place, file in _git_locks(root):
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime >= GIT_LOCK_SECONDS:
                name = file.relative_to(place).as_posix()
                yield Leftover(f".git/{name}: a lock of a git that is no longer there", f"rm {file}", gone(file), True)


def _git_locks(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield git's folder with each lock in it."""
    for folder in git.lines(root, "rev-parse", "--absolute-git-dir"):
        place = Path(folder)
        yield from ((place, file) for file in sorted([*place.glob("*.lock"), *place.glob("refs/**/*.lock")]))


def outlast_git_locks(root: Path) -> None:
    """Wait until every lock of git's that is there now is gone, or so old that no git can be behind it."""
    for _, file in list(_git_locks(root)):
        with suppress(FileNotFoundError):
            while time.time() - file.stat().st_mtime < GIT_LOCK_SECONDS:
                time.sleep(LOOK_EVERY)


def temporary_copies(root: Path) -> Iterator[Leftover]:
    """Find the copies in which a killed DVC ran experiments."""
    found = sorted(copy for name in COPIES for copy in (root / TEMPORARY).glob(name) if copy.is_dir())
    if found:
        what = f"{found[0].parent.relative_to(root)}: {len(found)} temporary copies of killed experiments"
        yield Leftover(what, f"rm -r {' '.join(str(copy.relative_to(root)) for copy in found)}", gone(*found))


def gone(*places: Path) -> Callable[[], str]:
    """Return a function that removes files and folders."""

    def mend() -> str:
        for place in places:
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)
        return "removed"

    return mend
