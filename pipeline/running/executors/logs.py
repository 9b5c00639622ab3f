"""The log of a cell, as DVC prints it: the stages that it reached, what it trained, and why it failed."""

import re
import signal
from pathlib import Path

STAGE = re.compile(r"^(?:Running stage|Stage) '([^']+)'", re.MULTILINE)
# What a cell is for: without it the result was there.
COMPUTED = re.compile(r"^Running stage '(?:train|evaluate)@", re.MULTILINE)
EXPERIMENT = re.compile(r"^Reproducing experiment '([^']+)'", re.MULTILINE)
# What `report` prints where a server does not take its runs.
NOT_SENT = re.compile(r"^mlflow: (.+); the report is whole(; .*)?$", re.MULTILINE)
# DVC's words for a stage that failed, at the end of its line.
EXITED = re.compile(r", exited with (-?\d+) \(log: ")
FAILURE = re.compile(r"^\S+: error: .*|^ERROR: .*", re.MULTILINE)


def read(log: Path) -> str:
    """Return what a cell has printed so far; nothing where it has not begun."""
    try:
        return log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def experiment(log: Path) -> str:
    """Return the experiment that a log is of, as DVC names it; a cell's with other settings may have had its file."""
    names: list[str] = EXPERIMENT.findall(read(log))
    return names[-1] if names else ""


def was_cached(log: Path) -> bool:
    """Return whether a cell trained and tested nothing, since DVC had the result; False where there is no log."""
    text = read(log)
    return bool(STAGE.search(text)) and not COMPUTED.search(text)


def not_sent(log: Path) -> str:
    """Return why MLflow does not have a cell's runs, and what helps; empty where nothing was said of that."""
    reasons = ["".join(parts) for parts in NOT_SENT.findall(read(log))]
    return reasons[-1] if reasons else ""


def trained(log: Path) -> int:
    """Return how many of a cell's networks are trained; one that a re-queued cell has reached again is not yet."""
    stages = STAGE.findall(read(log))
    return len({stage for stage in stages[:-1] if stage.startswith("train@")} - set(stages[-1:]))


def is_training(log: Path) -> bool:
    """Return whether all that cells may share is there: images and pre-trained weights."""
    return any(stage.startswith("train@") for stage in STAGE.findall(read(log)))


def has_failed(log: Path) -> bool:
    """Return whether a cell has printed an error."""
    return bool(FAILURE.search(read(log)))


def failure(log: Path, otherwise: str) -> str:
    """Return the last line that says why a cell failed, ours before DVC's, and the log's place.

    Args:
        log: of the cell.
        otherwise: where no line says it; the last line follows, as it is that of what went well.
    """
    lines = FAILURE.findall(read(log))
    ours = [line for line in lines if not line.startswith("ERROR:")]
    return f"{(ours or lines)[-1]} (log: {log})" if lines else without_error(log, otherwise)


def without_error(log: Path, reason: str) -> str:
    """Return why a cell failed where its log does not say it, with the log's last line and place."""
    lines = [line for line in read(log).splitlines() if line.strip()]
    return f"{reason}; last line: {lines[-1]} (log: {log})" if lines else f"{reason} (log: {log})"


def killed_by(code: int) -> str:
    """Return which signal ended a process, in words; "" where none did.

    A shell that started it ends with 128 and the signal's number.

    >>> killed_by(-9), killed_by(143), killed_by(1)
    ('killed by SIGKILL, perhaps for lack of memory', 'killed by SIGTERM', '')
    """
    number = -code if code < 0 else code - 128 if code - 128 in (signal.SIGKILL, signal.SIGTERM) else 0
    if not number:
        return ""
    name = next((one.name for one in signal.Signals if one == number), f"signal {number}")
    return f"killed by {name}{', perhaps for lack of memory' if number == signal.SIGKILL else ''}"


def note_failure(log: Path, experiment: str, reason: str) -> None:
    """Add to a cell's log that it has failed, for `noted_failure`."""
    with log.open("a", encoding="utf-8") as stream:
        # Git's own reasons may be of several lines.
        stream.write(f"\n{_note(experiment)}{' '.join(reason.split())}\n")


def noted_failure(log: Path, experiment: str) -> str:
    """Return why a cell of this machine failed; empty where its log is of another, or has no such note."""
    last = read(log).rstrip().rpartition("\n")[2]
    return last.removeprefix(_note(experiment)) if last.startswith(_note(experiment)) else ""


def _note(experiment: str) -> str:
    return f"failed: {experiment}: "
