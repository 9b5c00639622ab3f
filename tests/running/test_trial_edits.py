"""Edits while an advice runs: those that change a trial end it when the next trial has ended, all others do not."""

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import tiny

from pipeline.core import paths, provenance
from pipeline.core.errors import InputError
from pipeline.running import trials
from pipeline.running.driving import Ended
from pipeline.running.executors.contract import Task
from pipeline.studies.results import Result

TRIALS = {"one": {"freeze": "1"}, "two": {"freeze": "2"}, "three": {"freeze": "3a"}}
EDITED = (
    r"^params.yaml, the code or your own files were edited since this advice began; undo the edit and the same command "
    "goes on, or keep it and the same command begins anew$"
)
Edit = Callable[[], object]


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The trials that have ended, in a project of settings alone whose code is that of the tests."""
    names: list[str] = []
    (tmp_path / paths.PARAMS).write_bytes((tiny.ROOT / paths.PARAMS).read_bytes())
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provenance, "code_hash", lambda *_, **__: "code")
    runs = trials.cell_runs
    monkeypatch.setattr(runs, "finished", lambda _: {})
    monkeypatch.setattr(runs, "_started", lambda *_: None)
    monkeypatch.setattr(trials.cells, "finished", lambda _: {})
    repeats: Any = ["a repeat"]
    results = [Result(name, repeats) for name in TRIALS]
    monkeypatch.setattr(trials.gathering, "results", lambda *_, **__: results)
    return names


def run(
    monkeypatch: pytest.MonkeyPatch, ended: list[str], edits: Mapping[str, Edit], runs: trials.Runs, *words: str
) -> None:
    """Run all trials, with an edit just before one of them ends."""

    def drive(tasks: list[Task], *_: object, **__: object) -> Generator[Ended]:
        for task in tasks:
            edits.get(task.cell, lambda: None)()
            ended.append(task.cell)
            yield Ended(task, "", cached=False)

    monkeypatch.setattr(trials.cell_runs.driving, "run", drive)
    runs.run(TRIALS, words)


def begun() -> trials.Runs:
    return trials.Runs(Mock())


def replaced(before: str, after: str) -> Edit:
    def edit() -> None:
        text = paths.PARAMS.read_text(encoding="utf-8")
        assert before in text
        paths.PARAMS.write_text(text.replace(before, after, 1), encoding="utf-8")

    return edit


@pytest.mark.parametrize(
    "edit", [replaced("\nlr: auto", "\nlr: 0.01"), replaced("recipe: quick", "recipe: ["), paths.PARAMS.unlink]
)
def test_an_edit_of_the_settings_ends_it_after_the_trial_that_runs(
    ended: list[str], monkeypatch: pytest.MonkeyPatch, edit: Edit
) -> None:
    with pytest.raises(InputError, match=EDITED):
        run(monkeypatch, ended, {"two": edit}, begun())
    assert ended == ["one", "two"]


def test_an_edit_of_the_code_ends_it_too_and_one_of_before_the_next_round_at_once(
    ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit() -> None:
        monkeypatch.setattr(provenance, "code_hash", lambda *_, **__: "edited")

    with pytest.raises(InputError, match=EDITED):
        run(monkeypatch, ended, {"one": edit}, begun())
    assert ended == ["one"]
    ended.clear()
    runs = begun()
    # No other trial of this round would be of the files of after it.
    run(monkeypatch, ended, {"three": replaced("\nlr: auto", "\nlr: 0.01")}, runs)
    assert ended == list(TRIALS)
    with pytest.raises(InputError, match=EDITED):
        run(monkeypatch, ended, {}, runs)
    assert ended == list(TRIALS)
    # The edit is undone.
    replaced("\nlr: 0.01", "\nlr: auto")()
    run(monkeypatch, ended, {}, runs)


def test_a_comment_or_a_blank_or_another_recipes_value_ends_nothing(
    ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = {
        "one": replaced("recipe: quick", "# mine\nrecipe:  quick"),
        "two": replaced("\n    cite: Wang", "\n    cite: W"),
    }
    runs = begun()
    run(monkeypatch, ended, edits, runs)
    run(monkeypatch, ended, {}, runs)
    assert ended == [*TRIALS, *TRIALS]


def test_another_photograph_is_an_edit_too(ended: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    (photographs / "a").mkdir(parents=True)

    def edit() -> None:
        (photographs / "a/1.png").write_bytes(b"1")

    with pytest.raises(InputError, match=EDITED):
        run(monkeypatch, ended, {"one": edit}, begun(), "data=folder", f"folder={photographs}")
    assert ended == ["one"]
