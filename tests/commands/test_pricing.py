"""The price of an advice in words, the rounds that hours pay, and the time that it took."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.advice.halving import Round
from pipeline.commands import advice_plan, advise, affording, orbweaver, pricing, ranking
from pipeline.commands.pricing import Price
from pipeline.core.errors import InputError

# Ten seconds a training and nothing besides.
PRICE = Price({"a": 10.0, "b": 10.0, "c": 10.0}, starting=0.0, possible=3)


@pytest.mark.parametrize(
    ("rounds", "trainings", "time"),
    [
        ([Round(3, 1)], 14, "2 min 20 s"),
        ([Round(3, 1), Round(2, 2)], 13, "2 min 10 s"),
        ([Round(2, 3)], 12, "2 min 0 s"),
        ([Round(3, 2), Round(2, 4)], 12, "2 min 0 s"),
    ],
)
def test_repeats_that_the_last_round_lacks_are_trained_for_the_curve(
    rounds: list[Round], trainings: int, time: str
) -> None:
    line = PRICE.lines(rounds, 3)[-1].replace("\N{NO-BREAK SPACE}", " ")
    assert line.startswith(f"then {trainings} trainings of the recommended one with start and evaluation, for ")
    assert line.endswith(f"about {time}")


def test_the_whole_price_is_that_of_the_rounds_and_of_all_that_follows() -> None:
    assert PRICE.total([Round(3, 1)], 3) == 30 + 140
    assert PRICE.total([Round(2, 3)], 3) == 60 + 120


def planned(price: Price, limit: float, *, spent: float = 0.0) -> tuple[list[str], list[Round], list[str]]:
    """The candidates that a limit can pay, the rounds of the first of them, and what is said of the others."""
    said: list[str] = []
    paid, rounds = affording.affordable(price, limit=limit, trainings=None, spent=spent, say=said.extend)
    return list(paid.by_name), rounds, said


@pytest.mark.parametrize("limit", [150.0, 160.0, 200.0, 300.0, 400.0])
def test_hours_pay_all_that_a_plan_takes(limit: float) -> None:
    _, rounds, _ = planned(PRICE, limit)
    before, paid = 0, 0
    for one in rounds:
        paid += one.candidates * (one.repeats - before)
        before = one.repeats
    assert 10 * paid + PRICE.last(3, rounds[-1].repeats) <= limit


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["advise", "--hours", "nan"], "'--hours': nan is not in the range 0<x<=8760"),
        (["advise", "--hours", "1e9"], "'--hours': 1000000000.0 is not in the range"),
        (["advise", "--trainings", "1000000"], "'--trainings': 1000000 is not in the range 1<=x<=100000"),
        (["bundle", "--final", "--calibration", "nan"], "'--calibration': nan is not in the range 0<=x<=0.5"),
    ],
)
def test_what_no_plan_could_use_is_refused_at_once(words: list[str], line: str) -> None:
    """More hours than a year has would be planned for minutes, and no comparison with nan holds."""
    done = CliRunner().invoke(orbweaver, words)
    assert done.exit_code == 2
    assert line in done.stderr


def test_the_hours_that_are_asked_for_are_enough() -> None:
    with pytest.raises(InputError, match=r"--hours: .* take 2\smin 30\ss; give more, or .* --price .*seconds.json"):
        planned(PRICE, 140.0)
    assert planned(PRICE, 150.0)[1] == [Round(1, 1)]


def test_the_refusal_names_what_the_ranking_took() -> None:
    with pytest.raises(
        InputError,
        match=r"^--hours: the ranking takes 40\.0\ss, and .* with start and evaluation take 3\smin 10\ss; give",
    ):
        planned(PRICE, 180.0, spent=40.0)


def test_a_candidate_that_will_not_be_tried_takes_nothing_of_the_others() -> None:
    """The last comparison of a cheap one takes 28 s, of the dear one 28 minutes, and of their mean 14."""
    names, rounds, said = planned(Price({"dear": 120.0, "cheap": 2.0, "second": 2.0}, 0.0, 3), 600.0)
    assert names == ["cheap", "second"]
    assert rounds[0].candidates == 2
    assert said == ["left out: dear: the last comparison and one training would take longer than --hours"]


def test_the_last_comparison_is_priced_by_those_that_are_tried() -> None:
    """Two of 2 s and 20 of 20 s, of which the first six take 84 s and their last comparison 14 times 14 s."""
    price = Price({str(number): 2.0 if number < 2 else 20.0 for number in range(22)}, 0.0, 22)
    names, rounds, said = planned(price, 301.0)
    assert (len(names), said) == (22, [])
    assert rounds == [Round(6, 1)]
    assert price.lines(rounds, 3)[-1].replace("\N{NO-BREAK SPACE}", " ").endswith("about 3 min 16 s")


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, of whose steps each takes ten seconds and does nothing."""
    now = [0.0]

    def step(result: Any) -> Any:
        def take(*_: Any, **__: Any) -> Any:
            now[0] += 10
            return result

        return take

    resolved = SimpleNamespace(recipe=SimpleNamespace(data=SimpleNamespace(set="synthetic")))
    ranked = SimpleNamespace(frozen=(), words=[], seconds=0.0, next_step="")
    monkeypatch.setattr(advise, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(advice_plan, "read", lambda _: resolved)
    for module, name in ((advice_plan, "say_remarks"), (advice_plan, "_candidates"), (advise, "write")):
        monkeypatch.setattr(module, name, lambda *_, **__: [])
    for name in ("check", "check_images", "check_unedited", "plan"):
        monkeypatch.setattr(advise.trials, name, lambda *_: None)
    monkeypatch.setattr(advise.cells, "are_current", lambda _: True)
    prepared = SimpleNamespace(words=[], lines=[], start=None)
    monkeypatch.setattr(advise.cell_runs, "prepare", lambda *_, **__: prepared)
    monkeypatch.setattr(advise.cell_runs, "alone", lambda *_, **__: nullcontext())
    monkeypatch.setattr(ranking, "ranking", step(ranked))
    monkeypatch.setattr(pricing, "price", step(PRICE))
    monkeypatch.setattr(advice_plan.finished, "lines", lambda *_: ["of these, 1 and 2"])
    advice = SimpleNamespace(compared=SimpleNamespace(machines={}))
    network = SimpleNamespace(freeze="3b")
    record = SimpleNamespace(recipe=SimpleNamespace(network=network))
    tested = SimpleNamespace(standing=lambda: None, repeats=[SimpleNamespace(record=record)])
    found = SimpleNamespace(command="dvc exp run", next_step="", others=(), advice=advice, tested=tested)
    monkeypatch.setattr(advise.advising, "answer", step(found))
    monkeypatch.setattr(advise, "words", SimpleNamespace(sentence=lambda _: "Use a.", alternative=lambda _: ""))
    monkeypatch.setattr(advise.costs, "sentence", lambda _: "")
    monkeypatch.setattr(advise.edits, "words", lambda *_, **__: [])


@pytest.mark.usefixtures("stubbed")
def test_the_time_it_took_is_that_of_everything() -> None:
    done = CliRunner().invoke(advise.command, ["--trainings", "3"])
    assert re.search(r"it took 30\.0\ss", done.output), (done.output, done.exception)


@pytest.mark.usefixtures("stubbed")
@pytest.mark.parametrize("place", ["metrics/advice", "metrics"])
def test_a_page_that_could_not_be_written_is_refused_before_anything_is_measured(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("metrics/advice").mkdir(parents=True)
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda folder, _: str(folder) != place)
    monkeypatch.setattr(ranking, "ranking", None)
    done = CliRunner().invoke(advise.command, ["--trainings", "3"])
    line = f"metrics/advice: the page could not be written, as {place} is not writable for you; `ls -ld {place}` says"
    assert str(done.exception).startswith(line)


@pytest.mark.usefixtures("stubbed")
def test_a_price_has_a_total_and_says_that_nothing_was_trained() -> None:
    done = CliRunner().invoke(advise.command, ["--trainings", "3", "--price"])
    line = r"\nadvise: in all about 2\smin 50\ss; nothing was trained, as --price stops here\n$"
    assert re.search(line, done.stderr), done.stderr


@pytest.mark.usefixtures("stubbed")
def test_what_is_finished_is_said_after_the_price() -> None:
    done = CliRunner().invoke(advise.command, ["--trainings", "3"])
    assert re.search(r"advise: then .* about .*\nadvise: of these, 1 and 2\n", done.stderr), done.stderr


@pytest.mark.usefixtures("stubbed")
def test_settings_edited_while_another_is_waited_for_are_ranked_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other may run for hours; a price and candidates of before the edit are not those of what is trained."""
    order: list[str] = []

    @contextmanager
    def alone(*_: object, **__: object) -> Iterator[None]:
        order.append("waited")
        monkeypatch.setattr(advice_plan, "read", lambda _: edited)
        monkeypatch.setattr(advise.cells, "are_current", lambda _: False)
        yield

    def rank(*_: object) -> Any:
        order.append("ranked")
        return SimpleNamespace(frozen=(), words=[], seconds=0.0, next_step="")

    edited = SimpleNamespace(recipe=SimpleNamespace(data=SimpleNamespace(set="digits")))
    remarked: list[Any] = []
    monkeypatch.setattr(advise.cell_runs, "alone", alone)
    monkeypatch.setattr(advice_plan, "say_remarks", remarked.append)
    monkeypatch.setattr(ranking, "ranking", rank)
    done = CliRunner().invoke(advise.command, ["--trainings", "3"])
    assert order == ["waited", "ranked"]
    assert remarked == [edited]
    assert advise.EDITED in " ".join(done.stderr.split()), done.stderr
    order.clear()
    # A price waits for nobody.
    CliRunner().invoke(advise.command, ["--trainings", "3", "--price"])
    assert order == ["ranked"]


@pytest.mark.usefixtures("stubbed")
def test_settings_edited_while_candidates_are_measured_end_it_before_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Any] = []

    def refuse(*words: Any) -> None:
        checked.extend(words)
        raise InputError("edited since this advice began")

    monkeypatch.setattr(advise.trials, "plan", lambda *_: ["cells"])
    monkeypatch.setattr(advise.trials, "check_unedited", refuse)
    monkeypatch.setattr(advise.advising, "answer", None)
    done = CliRunner().invoke(advise.command, ["--trainings", "3"])
    assert str(done.exception) == "edited since this advice began"
    assert checked == [advice_plan.DIVISIONS, [], ["cells"]]
