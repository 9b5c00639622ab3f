"""Processes that end when the process they work for ends, even if that one is killed."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from pipeline.core.holding import held

# What DVC sets for the command of a stage: the stage's name.
STAGE = "DVC_STAGE"
LOOK_EVERY = 0.5
# Seconds from SIGTERM, after which a training writes its checkpoint, to SIGKILL.
PATIENCE = 30.0
LOCKS = Path(".dvc/tmp/stages")
# A stage's lock, which the system lets go of when the process has ended.
_UNTIL_THE_END = ExitStack()


def end_with_dvc() -> None:
    """Have a stage end when the DVC that runs it does; by hand, from a shell, nothing is followed.

    One that was left by a DVC that was killed may still write its checkpoint: that is waited for.

    A shell may stand between the two, which goes on when DVC is killed, so all parents up to DVC are looked at.
    A parent-death signal of Linux would come when DVC's *thread* ends, and macOS has none.

    Raises:
        SystemExit: if DVC has ended before this was called.
    """
    if STAGE not in os.environ or threading.current_thread() is not threading.main_thread():
        return
    # Taken out: the stage's own workers import it anew, and follow it by themselves.
    name = os.environ.pop(STAGE)
    parents = _parents_up_to_dvc()
    # DVC and its stages are one process group; who took an orphan in is of another.
    if not _is_of_our_group(parents[-1]):
        _say(f"{name}: the DVC that started it has ended, so it does not start")
        raise SystemExit(1)
    _watch(lambda: _parents(len(parents)) == parents, lambda: _end_this_process(name))
    lock = LOCKS / f"{name.replace('/', '-')}.lock"
    _UNTIL_THE_END.enter_context(
        held(lock, name, waiting=lambda who: _say(f"{name}: {who} still ends; waiting for it"))
    )


def end_group_with_parent(parent: int) -> None:
    """Have this process, the leader of a group, end with all of it when its parent ends, or has ended before this."""
    _watch(lambda: os.getppid() == parent, lambda: os.killpg(os.getpgrp(), signal.SIGTERM))


def _parents_up_to_dvc() -> list[int]:
    """Return the process above, and where that is the shell of the command, those above it up to DVC."""
    import psutil

    count = 1
    with suppress(psutil.Error):
        process = psutil.Process().parent()
        # The shell was given the words that name the stage.
        while process and any("pipeline.stages." in word for word in process.cmdline()):
            process, count = process.parent(), count + 1
    return _parents(count)


def _parents(count: int) -> list[int]:
    """Return as many numbers of the processes above, the nearest first; 0 for one that has ended."""
    import psutil

    found = [os.getppid()]
    while len(found) < count:
        try:
            found.append(psutil.Process(found[-1]).ppid())
        except (psutil.Error, ValueError):
            found.append(0)
    return found


def _is_of_our_group(process: int) -> bool:
    try:
        return os.getpgid(process) == os.getpgrp()
    except OSError:
        return False


def _watch(lives: Callable[[], bool], end: Callable[[], None]) -> None:
    def watch() -> None:
        while lives():
            time.sleep(LOOK_EVERY)
        end()

    threading.Thread(target=watch, name="following", daemon=True).start()


def _end_this_process(name: str) -> None:
    _say(f"{name}: the DVC that started it has ended, so it ends too")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)


def _say(line: str) -> None:
    # Perhaps nobody reads any more.
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
