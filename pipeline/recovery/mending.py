"""Repair of what kills leave: of all by `orbweaver doctor --mend`, of the harmless before commands and `make repro`."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from pipeline import config
from pipeline.core.errors import InputError, one_line_errors
from pipeline.datasets.collect import hashable
from pipeline.recovery import cut_experiments, earlier_bundle, leftovers, passed_over, unfinished
from pipeline.recovery.leftovers import Leftover
from pipeline.running import cell_clones

# In the order in which they are mended: git has to work first, and what an experiment left tells how the rest came.
FINDERS: tuple[Callable[[Path], Iterator[Leftover]], ...] = (
    leftovers.git_locks,
    leftovers.locks,
    cut_experiments.set_up,
    cut_experiments.run,
    cut_experiments.pending,
    cut_experiments.damaged,
    passed_over.changes,
    leftovers.temporary_copies,
    unfinished.outputs,
    unfinished.results,
    unfinished.clones,
    earlier_bundle.lost,
)
# These take DVC's own guard, and leave the locks of living processes as they are.
WHILE_OTHERS_WORK = (leftovers.locks,)
MEND = "orbweaver doctor --mend"
LOOK_EVERY = 0.5


class State(NamedTuple):
    """The processes at work in a clone, and what kills left there, which is not looked for while any works."""

    at_work: list[psutil.Process]
    found: list[Leftover]


def look(root: Path) -> State:
    """Return the state of a clone."""
    finders = list(FINDERS)
    if busy := leftovers.at_work(root):
        finders = [*WHILE_OTHERS_WORK]
    return State(busy, [one for finder in finders for one in finder(root)])


def mend(root: Path, say: Callable[[str], None]) -> None:
    """Mend all, one line each; each is looked for anew, as one may be gone with another.

    Raises:
        InputError: if something is at work in the clone.
    """
    if busy := leftovers.at_work(root):
        raise InputError(f"{cell_clones.described(busy[0].pid)} is at work here; wait until it has ended, then mend")
    # A kill of a moment ago may have left one, which stops the mending like every other git.
    leftovers.outlast_git_locks(root)
    count = 0
    for finder in FINDERS:
        for one in finder(root):
            say(f"{one.what}: {one.mend()}")
            count += 1
    if not count:
        say("no kill has left anything")


def prepare(root: Path, say: Callable[[str], None]) -> None:
    """Mend what is harmless, and say what else there is; what cannot be mended stops no command."""
    if not (root / ".dvc").is_dir():
        return
    for one in look(root).found:
        try:
            say(f"{one.what}: {one.mend()}" if one.is_harmless else f"{one.what}; `{MEND}` {one.does}")
        except (InputError, OSError) as error:
            say(f"{one.what}: not mended: {error}")


def wait_for_dvc(root: Path, say: Callable[[str], None]) -> None:
    """Wait while another DVC holds outputs of this clone."""
    told = set[int]()
    while living := leftovers.in_the_users_files(root):
        for number in sorted(living - told):
            say(f"{cell_clones.described(number)} is at work here; waiting for it, Ctrl-C ends the waiting")
        told |= living
        time.sleep(LOOK_EVERY)


def main() -> None:
    """Prepare the clone for `make repro`."""
    with one_line_errors("mending"):
        wait_for_dvc(Path.cwd(), _say)
        prepare(Path.cwd(), _say)
        check_own_files()


def check_own_files() -> None:
    """Refuse files of the user's own at which DVC would stop or hang; it runs `validate` only where settings changed.

    Raises:
        InputError: naming the first.
    """
    try:
        axes = config.load().axes
    except InputError:
        # `validate` says what is wrong with params.yaml.
        return
    for place in (axes.folder, axes.archive, axes.weights_file):
        hashable.check(Path(place))


def _say(line: str) -> None:
    print(f"orbweaver: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
