"""MLflow brought up to date with every experiment that is at hand."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from pipeline import config, tracking
from pipeline.core import git, paths, shell
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.core.garbage_collection import frozen
from pipeline.experiments import revisions
from pipeline.experiments.revisions import Revision

WORDS = {"added": "added", "completed": "completed", "unchanged": "already there"}
ABSENT = "with files missing"


def sync() -> None:
    """Publish what the store lacks, and say what was done: one line for each that could not be, and one for all.

    Raises:
        InputError: if the store does not answer, or this is not the project's root.
    """
    if not paths.PARAMS.exists():
        raise InputError(f"{paths.PARAMS}: no such file; run this in the project's root")
    images = config.tracking().images
    tracking.initialize()
    outcomes: dict[str, str] = {}
    with frozen():
        for experiment in experiments(Path.cwd()):
            try:
                if not tracking.is_finished(experiment.files):
                    continue
                published = tracking.publish(
                    experiment.files, names=experiment.names, refresh=experiment.refresh, images=images
                )
                outcomes.setdefault(published.key, WORDS[published.outcome])
            except tracking.IncompleteError as error:
                outcomes[experiment.label] = ABSENT
                click.echo(f"{experiment.label}: left out: {error}")
    click.echo(_told(Counter(outcomes.values())))


def _told(counts: Counter[str]) -> str:
    """Return a line such as `MLflow: 2 experiments added, 3 already there`."""
    parts = [(counts[word], word) for word in (*WORDS.values(), ABSENT) if counts[word]]
    if not parts:
        return f"MLflow: no finished experiment yet, {tracking.shown(tracking.uri())} is ready"
    number, word = parts[0]
    first = f"{counted(number, 'experiment')} {word}"
    return f"MLflow: {', '.join([first, *(f'{n} {w}' for n, w in parts[1:])])}"


class Experiment(NamedTuple):
    """Files that may be those of a finished experiment, what DVC calls it, and whether they are the newest."""

    label: str
    files: tracking.Files
    names: tuple[str, ...]
    refresh: bool


def experiments(root: Path) -> Iterator[Experiment]:
    """Yield the places of an experiment's files: the working tree, HEAD and DVC's experiments."""
    yield Experiment("working tree", tracking.Folder(Path()), (), True)
    if git.lines(root, "rev-parse", "--verify", "--quiet", "HEAD"):
        yield Experiment("HEAD", Revision(root, "HEAD"), (), False)
    for name, revision in revisions.experiments(root):
        again = f"{revisions.run_again(revision)}; `dvc exp remove {shell.join([name])}` ends this line"
        yield Experiment(f"experiment {name}", Revision(root, revision, again), (name,), False)
