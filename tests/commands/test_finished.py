"""What is said of an advice that was begun before."""

from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.advice.candidates import Candidate
from pipeline.advice.halving import Round
from pipeline.commands import finished
from pipeline.commands.pricing import last_trainings

LISTED = [Candidate(name, {"freeze": name}) for name in ("1", "2", "3b")]
SPLIT = "defaults.data.split"
ROUNDS = [Round(3, 1), Round(2, 2)]


def key(settings: Mapping[str, Any]) -> str:
    """The candidate, its repeats, and `test`, or the fraction of its training images."""
    part = settings.get(f"{SPLIT}.train_fraction", 1.0) if settings[f"{SPLIT}.inner"] else "test"
    return f"{settings['freeze']} {len(settings['repeats'])} {part}"


def lines(monkeypatch: pytest.MonkeyPatch, there: Collection[str]) -> list[str]:
    def plan(settings: Mapping[str, Mapping[str, Any]], _: Sequence[str]) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name, key=key(one)) for name, one in settings.items()]

    monkeypatch.setattr(finished.trials, "plan", plan)
    monkeypatch.setattr(finished.cells, "finished", lambda _: dict.fromkeys(there, "a" * 40))
    return finished.lines(LISTED, ROUNDS, [])


@pytest.mark.parametrize(
    ("there", "trials", "others"),
    [
        (["1 1 1.0"], 1, 0),
        (["1 1 1.0", "2 1 1.0", "3b 1 1.0", "1 2 1.0"], 4, 0),
        # The three of an earlier plan of more hours are at most two of this one.
        (["1 1 1.0", "2 1 1.0", "3b 1 1.0", "1 2 1.0", "2 2 1.0", "3b 2 1.0"], 5, 0),
        (["2 1 1.0", "2 2 1.0", "2 3 test", "2 3 0.25"], 2, 6),
    ],
)
def test_trainings_that_are_finished_are_counted(
    monkeypatch: pytest.MonkeyPatch, there: list[str], trials: int, others: int
) -> None:
    assert lines(monkeypatch, there) == [f"of these, {trials} and {others} trainings are finished already"]


def test_where_all_is_finished_so_many_are_as_were_said(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [f"{one.name} {repeats} 1.0" for one in LISTED for repeats in (1, 2, 3)]
    every += ["1 3 test", *(f"1 3 {fraction}" for fraction in (0.25, 0.5, 0.75))]
    assert lines(monkeypatch, every) == [f"of these, 5 and {last_trainings(3, 2)} trainings are finished already"]


def test_of_a_first_advice_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(monkeypatch, ["2 3 test"]) == []
