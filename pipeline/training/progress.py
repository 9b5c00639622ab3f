"""Progress of a training: a bar on a terminal, one line per epoch elsewhere."""

import sys
from typing import Any

from tqdm import tqdm

from pipeline.training.contract import Row

# The default name in the progress bar; other names also begin each printed line.
TRAINING = "train"


def progress_bar(steps: int, name: str | None, *, initial: int) -> "tqdm[Any]":
    """Return a progress bar with rate and time left, `initial` steps done, disabled without a terminal or name."""
    return tqdm(total=steps, initial=initial, unit="step", desc=name, disable=None if name else True)


def print_epoch(row: Row, progress: "tqdm[Any]", name: str | None) -> None:
    """Show an epoch's row of the history in the bar, or print it where there is no terminal; nothing without a name."""
    if name is None:
        return
    # Diagnostics, whose names contain a slash, are too many for a line.
    left_out = ("epoch", "iteration")
    text = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name not in left_out and "/" not in name)
    if not progress.disable:
        progress.set_postfix_str(text)
    else:
        print(f"{'' if name == TRAINING else f'{name}: '}epoch {row['epoch']:.0f}: {text}", flush=True, file=sys.stdout)
