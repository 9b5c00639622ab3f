"""Trials of `orbweaver advise`: cells of a study without a file, which are planned, run if missing, and read."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import Resolved
from pipeline.core import paths
from pipeline.core.counting import counted
from pipeline.core.errors import InputError
from pipeline.core.overrides import overridden_key
from pipeline.datasets.collect import bringing, sets
from pipeline.running import cell_runs, cells, gathering
from pipeline.running.cells import Cell
from pipeline.running.executors.contract import Executor
from pipeline.studies.definition import Named, Study
from pipeline.studies.results import Result

NAME = "advice"
# What a trial sets, or all of them do.
OWN = ("repeats", "backbone", "freeze", "regularizer", "augmentation")
SPLIT = "defaults.data.split"
# Of the split, with the value that holds where a trial does not set it; None where each trial does.
DIVIDED: Mapping[str, Any] = {"division": None, "inner": None, "train_fraction": 1.0}

# Images that each class needs: one for training and one for each of two test parts, the inner and the outer.
IN_EACH_CLASS = 3

Settings = Mapping[str, Mapping[str, Any]]


def check(words: Sequence[str]) -> None:
    """Refuse what an advice has to set itself.

    Raises:
        InputError: for the first such word.
    """
    for word in words:
        key = overridden_key(word)
        if key in (*OWN, SPLIT) or key.startswith(f"{SPLIT}."):
            raise InputError(f"-S {word}: this is what advise tries or sets itself; leave it out, or use a study")


def check_images(resolved: Resolved) -> None:
    """Refuse, by the names of files, the user's own folder where the training part cannot be divided again.

    Raises:
        InputError: for the first such class, and where the folder cannot be used.
    """
    row = sets.known(resolved.recipe.data.set)
    if row.given_by != "folder":
        return
    files = bringing.read_own(row, resolved.settings.place_of("folder")).files
    counts = Counter(file.label for file in files if not file.part)
    for label, images in sorted(counts.items()):
        if images < IN_EACH_CLASS:
            raise InputError(
                f"class {label!r} has {counted(images, 'image')}; advise divides the training part once more, which "
                f"takes {IN_EACH_CLASS} different ones of each class: bring more, or leave the class out"
            )


def plan(trials: Settings, words: Sequence[str]) -> list[Cell]:
    """Return the cells of trials.

    Args:
        trials: what each sets, by its name.
        words: what all set besides, as after -S.

    Raises:
        InputError: for the first that params.yaml cannot take, by its name, and for one that would be divided in
            another way than it asks for: its test part would have images that the choice has seen.
    """
    planned = cells.plan(_named(trials), sets=words)
    for cell in planned:
        _check_division(cell, trials[cell.name])
    return planned


def _check_division(cell: Cell, settings: Mapping[str, Any]) -> None:
    for name, otherwise in DIVIDED.items():
        asked = settings.get(f"{SPLIT}.{name}", otherwise)
        value = getattr(cell.resolved.recipe.data.split, name)
        if asked is not None and value != asked:
            key = cell.resolved.origin(f"data.split.{name}")
            raise InputError(
                f"{key}: {str(value).lower()}: an advice sets this itself, here to {str(asked).lower()}; "
                f"take {key} out of params.yaml or of -S"
            )


class Runs:
    """The runs of one advice: all of them with the code, params.yaml and own files of the first."""

    def __init__(self, start: Callable[[], Executor]) -> None:
        """Take what makes the executor."""
        self._start = start
        self._first: tuple[Settings, Sequence[str], Sequence[Cell]] | None = None

    def run(self, trials: Settings, words: Sequence[str]) -> dict[str, Result]:
        """Run what is not there yet, and return each trial's repeats by name; one that failed is left out, with a line.

        Args:
            trials: what each sets, by its name.
            words: what all set besides, as after -S.

        Raises:
            InputError: where all failed, and where something was edited since the first run, as soon as a trial ends;
                what ended before is kept.
        """
        if self._first:
            check_unedited(*self._first)
        planned = plan(trials, words)
        self._first = self._first or (trials, words, planned)
        ended = cell_runs.run_missing(NAME, planned, self._start, lambda: check_unedited(trials, words, planned))
        study = _named(trials).study
        results = gathering.results(study, planned, cells.finished(Path.cwd()), logs=cell_runs.STATE / NAME)
        there = {one.cell: one for one in results if one.repeats}
        failures = {one.task.cell: one.failure for one in ended if one.failure}
        missing = [f"{one.cell}: {failures.get(one.cell) or one.missing}" for one in results if not one.repeats]
        if not there:
            cell_runs.check_ended(ended, planned, "trials")
            raise InputError(missing[0])
        cell_runs.say("advise", [f"left out: {line}; the same command tries it again" for line in missing])
        return there


def check_unedited(trials: Settings, words: Sequence[str], planned: Sequence[Cell]) -> None:
    """Refuse to compare trials before an edit with those after it; one that changes no trial, as a comment, is none."""
    try:
        if cells.are_current(planned) or [cell.key for cell in plan(trials, words)] == [cell.key for cell in planned]:
            return
    except (InputError, OSError):
        # An edit that is half done.
        pass
    raise InputError(
        f"{paths.PARAMS}, the code or your own files were edited since this advice began; undo the edit and the same "
        "command goes on, or keep it and the same command begins anew"
    )


def _named(trials: Settings) -> Named:
    cells_of = {name: {"set": dict(settings)} for name, settings in trials.items()}
    return Named(NAME, Path(NAME), Study.model_validate({"title": "Advice", "cells": cells_of}))
