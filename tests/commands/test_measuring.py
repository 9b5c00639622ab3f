"""What is measured for the price of an advice, what is left out of it, and what is kept."""

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.commands import affording, pricing
from pipeline.core.errors import InputError

HERE = "this machine"
# Seconds of a training, or why it has none.
OUTCOMES: dict[str, float | Exception] = {"a": 10.0, "b": RuntimeError("CUDA out of memory. Tried to"), "c": 30.0}


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What measures candidates whose trainings take what `OUTCOMES` says, one second a start."""

    def seconds(name: Any) -> float:
        outcome = OUTCOMES[name]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(pricing.paths, "root", lambda: tmp_path)
    monkeypatch.setattr(pricing, "_starting", lambda: 1.0)
    monkeypatch.setattr(pricing, "_here", lambda: HERE)
    monkeypatch.setattr(pricing, "_seconds", seconds)
    possible: Any = [SimpleNamespace(key=f"key-{name}", name=name, resolved=name) for name in OUTCOMES]
    return lambda **options: pricing._measured(possible, 3, **options)


def kept(folder: Path) -> dict[str, dict[str, float]]:
    read: dict[str, dict[str, float]] = json.loads((folder / pricing.MEASURED).read_text(encoding="utf-8"))
    return read


def test_a_candidate_that_a_gpu_has_no_room_for_is_left_out(measure: Any) -> None:
    price, refused = measure(anew=False)
    assert price.by_name == {"a": 10.0, "c": 30.0}
    assert [line.partition(";")[0] for line in refused] == ["b: not enough memory on the GPU"]


def test_what_was_measured_is_kept_whatever_ends_it(
    measure: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(OUTCOMES, "b", RuntimeError("a mistake of the program"))
    with pytest.raises(RuntimeError, match="a mistake"):
        measure(anew=False)
    assert kept(tmp_path) == {HERE: {"starting": 1.0, "key-a": 10.0}}


def test_a_price_that_is_asked_for_is_measured_anew_and_kept(
    measure: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / pricing.MEASURED
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({HERE: {"starting": 90.0, "key-a": 900.0, "key-other": 5.0}}), encoding="utf-8")
    monkeypatch.setitem(OUTCOMES, "b", 20.0)
    before = measure(anew=False)[0]
    assert (before.starting, before.by_name) == (90.0, {"a": 900.0, "b": 20.0, "c": 30.0})
    anew = measure(anew=True)[0]
    assert (anew.starting, anew.by_name) == (1.0, {"a": 10.0, "b": 20.0, "c": 30.0})
    assert kept(tmp_path)[HERE] == {"starting": 1.0, "key-a": 10.0, "key-other": 5.0, "key-b": 20.0, "key-c": 30.0}


def test_seconds_of_another_machine_are_not_taken_for_those_of_this_one(
    measure: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / pricing.MEASURED
    file.parent.mkdir(parents=True)
    other = {"starting": 90.0, "key-a": 900.0}
    # As versions before wrote it, and by machine.
    file.write_text(json.dumps({"key-a": 900.0, "another machine": other}), encoding="utf-8")
    price = measure(anew=False)[0]
    assert (price.starting, price.by_name) == (1.0, {"a": 10.0, "c": 30.0})
    assert kept(tmp_path)["another machine"] == other


def test_what_another_measures_meanwhile_is_kept_too(
    measure: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A price that is asked for while an advice measures."""

    def start() -> float:
        file = tmp_path / pricing.MEASURED
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({HERE: {"key-a": 900.0, "key-other": 5.0}, "another": {"a": 1.0}}), encoding="utf-8")
        return 1.0

    monkeypatch.setattr(pricing, "_starting", start)
    measure(anew=False)
    assert kept(tmp_path) == {
        HERE: {"starting": 1.0, "key-a": 10.0, "key-other": 5.0, "key-c": 30.0},
        "another": {"a": 1.0},
    }


def test_the_quickest_of_some_starts_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 9.0, 10.0, 12.0, 20.0, 24.0])
    monkeypatch.setattr(pricing, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    monkeypatch.setattr(pricing, "subprocess", SimpleNamespace(run=lambda *_, **__: None))
    assert pricing._starting() == 2.0


def test_hours_that_the_starts_alone_exceed_are_refused_before_any_candidate_is_measured(
    measure: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A start takes a second: one training has 13, then 14 trainings have 5 each, and their 5 cells 8 each."""
    monkeypatch.setattr(pricing, "_seconds", None)
    line = r"^--hours: the last comparison and one training with start and evaluation take more than 2\smin 3\ss; give"
    with pytest.raises(InputError, match=line):
        measure(anew=False, check=partial(affording.check_starts, limit=60.0, spent=0.0))
    assert kept(tmp_path) == {HERE: {"starting": 1.0}}


def test_hours_that_pay_the_starts_have_the_candidates_measured(measure: Any) -> None:
    assert measure(anew=False, check=partial(affording.check_starts, limit=600.0, spent=0.0))[0].by_name
