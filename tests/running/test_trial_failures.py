"""Trials that fail or are of other files: one that fails is left out with a line; the others are an error."""

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.core.errors import InputError
from pipeline.running import trials
from pipeline.running.driving import Ended
from pipeline.studies.results import Result

NAMES = ("good", "bad")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What of two trials fails, by name; nothing is trained."""
    failed: list[str] = []
    repeats: Any = ["a repeat"]

    def run_missing(*_: Any) -> list[Ended]:
        tasks: Any = [SimpleNamespace(cell=name) for name in NAMES]
        return [Ended(task, "out of memory" if task.cell in failed else "", cached=False) for task in tasks]

    def results(*_: Any, **__: Any) -> list[Result]:
        return [Result(name, [], "not run yet") if name in failed else Result(name, repeats) for name in NAMES]

    monkeypatch.setattr(trials.cells, "plan", lambda *_, **__: [])
    monkeypatch.setattr(trials.cells, "finished", lambda _: {})
    monkeypatch.setattr(trials.cell_runs, "run_missing", run_missing)
    monkeypatch.setattr(trials.gathering, "results", results)
    return failed


def run() -> dict[str, Result]:
    start: Any = None
    return trials.Runs(start).run({name: {} for name in NAMES}, [])


def test_one_that_fails_is_left_out_with_a_line(ended: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ended.append("bad")
    assert list(run()) == ["good"]
    said = capsys.readouterr().err
    assert said == "advise: left out: bad: out of memory; the same command tries it again\n"


def test_where_all_fail_there_is_no_advice(ended: list[str]) -> None:
    ended.extend(NAMES)
    with pytest.raises(InputError, match=r"trials that failed: 2 of \d, first good"):
        run()


def test_where_none_fails_no_line_is_printed(ended: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert not ended
    assert list(run()) == list(NAMES)
    assert not capsys.readouterr().err
