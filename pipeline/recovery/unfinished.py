"""Leftovers of killed commands: half-written results, notes of who held a lock, and temporary clones."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pipeline.core import paths, shell
from pipeline.core.holding import HELD
from pipeline.experiments import temporary
from pipeline.recovery.leftovers import OUTPUTS, Leftover, gone
from pipeline.running import cell_clones

REMOVES = "removes it"
# Commands that write below `OUTPUTS` by themselves, and not by a stage.
WRITING = {"export", "bundle"}


def outputs(root: Path) -> Iterator[Leftover]:
    """Find what a stage or command that was killed had half written, or moved aside."""
    files = sorted(file for folder in OUTPUTS for file in (root / folder).rglob(".*.partial"))
    if not files or _is_writing(root):
        return
    for file in files:
        target = file.with_name(file.name.removeprefix(".").removesuffix(paths.OLD))
        name = file.relative_to(root)
        if file.name.endswith(paths.OLD) and not target.exists():
            yield Leftover(f"{name}: {target.name}, moved aside", f"mv {name} {target.name}", _moved(file, target))
        else:
            what = f"{name}: half written by a stage or command that was killed"
            yield Leftover(what, f"rm -r {name}", gone(file), does=REMOVES)


def results(root: Path) -> Iterator[Leftover]:
    """Find the same of the bank, whose results are computed again, and notes of who held a lock that is free now."""
    for file in sorted((root / paths.BANK).glob(".*.partial")):
        name = file.name.removeprefix(".").removesuffix(paths.OLD).removesuffix(paths.PARTIAL)
        yield from _of_nobody(file, file.with_name(f"{name}.lock"), root, "half written by a command that was killed")
    # Stages leave theirs in the end, too.
    for file in sorted((root / paths.BANK).glob(f"*.lock{HELD}")):
        lock = file.with_name(file.name.removesuffix(HELD))
        yield from _of_nobody(file, lock, root, "names a process that was killed as a lock's holder")


def clones(_root: Path) -> Iterator[Leftover]:
    """Find the temporary clones of killed commands, of this clone or another, in which nothing is at work any more."""
    for place in temporary.of_killed():
        if not cell_clones.at_work_in(place):
            what = f"{place}: temporary clone of a command that was killed"
            yield Leftover(what, f"rm -rf {shell.join([str(place)])}", gone(place), is_harmless=True, does=REMOVES)


def _of_nobody(file: Path, lock: Path, root: Path, words: str) -> Iterator[Leftover]:
    """Yield a file whose lock nobody holds, in whichever copy of the project they are at work."""

    def mend() -> str:
        # Somebody may have begun since.
        try:
            with FileLock(lock, timeout=0):
                return gone(file)()
        except Timeout:
            return "left as it is, as a process has begun to write it"

    with suppress(Timeout):
        if lock.exists():
            with FileLock(lock, timeout=0):
                pass
        name = file.relative_to(root)
        yield Leftover(f"{name}: {words}", f"rm -r {name}", mend, is_harmless=True)


def _is_writing(root: Path) -> bool:
    for process in cell_clones.at_work_in(root):
        try:
            words = process.cmdline()[:6]
        except psutil.Error:
            continue
        if any(Path(word).name == "orbweaver" for word in words) and WRITING & set(words):
            return True
    return False


def _moved(file: Path, target: Path) -> Callable[[], str]:
    def mend() -> str:
        file.replace(target)
        return "put back"

    return mend
