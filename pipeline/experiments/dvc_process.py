"""DVC as the leader of a process group that ends with the command that started it, also where that is killed.

python -P -m pipeline.experiments.dvc_process NUMBER_OF_THE_COMMANDS_PROCESS WORDS OF DVC
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.core.following import end_group_with_parent

# DVC that ends when the process does whose number follows; from this code, as that of a clone may be older.
FOLLOWED_DVC = (sys.executable, "-P", "-m", "pipeline.experiments.dvc_process")
QUIET = "--quiet"
GIVEN_UP_SECONDS = 20.0


def run(folder: Path, words: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run DVC in a folder, with what it prints on standard error; return its exit status.

    It ends with this process, and with all that it started. Ctrl-C in a terminal reaches this process alone.
    """
    child = subprocess.Popen(
        [*FOLLOWED_DVC, str(os.getpid()), *words],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        start_new_session=True,
    )
    try:
        return child.wait()
    except BaseException:
        _end(child)
        raise


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End a process and all of its group; each Ctrl-C waits no longer for the last signal."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(KeyboardInterrupt, ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(child.pid, number)
            child.wait(GIVEN_UP_SECONDS)
            return


def main(parent: str, words: list[str]) -> int:
    """Run DVC in this process; return its exit status."""
    end_group_with_parent(int(parent))
    # Ignored by a command that a script starts in the background, and by what that starts: neither DVC nor a stage
    # would stop when they are asked to.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if QUIET in words:
        # Or else DVC leaves out its errors too: the level that it sets is that of these loggers' parent.
        for name in ("dvc.cli", "dvc.commands"):
            logging.getLogger(name).setLevel(logging.ERROR)
    from dvc.cli import main as dvc

    status: int = dvc(words)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
