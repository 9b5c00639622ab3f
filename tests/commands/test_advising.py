"""The cheapest candidate of an advice whose candidates were trained on different machines."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import written_results

from pipeline import config
from pipeline.advice import answer as words
from pipeline.advice import costs, page, plain, tested_words
from pipeline.advice.answer import Answer
from pipeline.advice.candidates import Candidate
from pipeline.advice.halving import Round
from pipeline.advice.learning_curve import Point, distinct
from pipeline.commands import advise, advising
from pipeline.commands.pricing import Price
from pipeline.core.errors import InputError
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.preview import overriding
from pipeline.reporting.material import Probe
from pipeline.reporting.signs import DASH
from pipeline.studies import tables
from pipeline.studies.results import Result

IMAGES = 100
# As timed on one machine before the trials.
TIMED = {"dear": 60.0, "cheap": 20.0}
# Seconds of the trainings.
TRAINED = {"dear": 10.0, "cheap": 40.0}


def repeat(number: int, *, seconds: float, right: int, **machine: Any) -> Repeat:
    rows = [
        {"path": f"{number}/{image}", "actual": "a", "predicted": "a", "correct": str(int(image < right))}
        for image in range(IMAGES)
    ]
    record = written_results.record_of(number, written_results.settings_of("quick"))
    history = [{"epoch": "1", "train_loss": "0.5", "train_accuracy": "0.5"}]
    runtime = written_results.runtime_of(train_seconds=seconds, **machine)
    return Repeat(number, record, runtime, written_results.scores_of(nll=0.5), history, rows)


def advised(
    monkeypatch: pytest.MonkeyPatch, *, right: Mapping[str, int] | None = None, others: Sequence[str] = (), **other: Any
) -> Answer:
    """The advice on two candidates, the cheap one of which was trained with other values of the run time's file."""
    right = right or {"dear": 90, "cheap": 89}
    trained = {
        name: Result(name, [repeat(1, seconds=seconds, right=right[name], **(other if name == "cheap" else {}))])
        for name, seconds in TRAINED.items()
    }
    tested = [repeat(number, seconds=1.0, right=88) for number in (1, 2, 3)]

    def run(settings: Mapping[str, Any], _: Sequence[str]) -> dict[str, Result]:
        if all(one["defaults.data.split.inner"] and one["repeats"] == [1] for one in settings.values()):
            return {name: trained[name] for name in settings}
        return {name: Result(name, tested) for name in settings}

    monkeypatch.setattr(advising.opened, "others", lambda *_: others)
    listed = [Candidate(name, {"freeze": "3b", "augmentation": "none"}) for name in TRAINED]
    ranked: Any = SimpleNamespace(words=[], frozen=(), sizes=(), next_step="")
    return advising.answer(listed, [Round(2, 1)], ranked, run, timed=TIMED, more=None)


def on_page(answer: Answer) -> list[str]:
    """The page and its Markdown, in one line each."""
    content = page.content(answer, name="spiders", again="orbweaver advise")
    return [" ".join(write(content).split()) for write in (page.page, page.as_markdown)]


def printed(answer: Answer, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command prints in the end."""
    capsys.readouterr()
    advise._print(answer, seconds=1.0)
    return capsys.readouterr().out


def test_a_price_is_no_answer_that_could_be_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advise.trials, "check", lambda _: pytest.fail("the settings were taken"))
    with pytest.raises(InputError, match=r"^--price and --json: .*; use only one of them$"):
        advise.command(["--price", "--json"], standalone_mode=False)


def test_two_data_sets_are_refused_as_in_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advise.trials, "check", lambda _: pytest.fail("the settings were taken"))
    with pytest.raises(InputError, match="--data digits and -S data=synthetic: both are the data set; give one"):
        advise.command(["--data", "digits", "-S", "data=synthetic"], standalone_mode=False)


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"device_name": "An old CPU"}, "device A <CPU> (1 candidate), An old CPU (1 candidate)"),
        ({"threads": 1}, "threads 2 (1 candidate), 1 (1 candidate)"),
        ({"cpu_instructions": "avx2"}, "CPU instructions avx512 (1 candidate), avx2 (1 candidate)"),
    ],
)
def test_seconds_of_different_machines_make_no_candidate_the_cheapest(
    machine: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = advised(monkeypatch, **machine)
    assert (answer.advice.name, answer.advice.best) == ("cheap", "dear")
    line = costs.sentence(answer.advice.compared.machines)
    assert line.startswith(f"Not all repeats were trained alike, which alone changes results: {said}. ")
    assert "Seconds of different machines do not compare" in line
    assert all("Seconds of different machines do not compare" in text for text in on_page(answer))
    assert line in printed(answer, capsys)
    table = words.table(answer)
    alone = "training alone, without start and evaluation, on inner training images"
    seconds = [row[table.header.index(f"{alone}, timed before the trials")] for row in table.rows]
    assert [one.replace("\N{NO-BREAK SPACE}", " ") for one in seconds] == ["1 min 0 s", "20.0 s"]
    data = plain.as_data(answer)["inner"]
    assert {name: (one["seconds"], one["cost"]) for name, one in data.items()} == {
        name: (TRAINED[name], TIMED[name]) for name in TRAINED
    }


def test_seconds_of_one_machine_decide_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = advised(monkeypatch, right={"dear": 89, "cheap": 90})
    assert (answer.advice.name, answer.advice.best) == ("dear", "cheap")
    assert answer.costs == TRAINED
    assert costs.sentence(answer.advice.compared.machines) == ""
    assert all("trained alike" not in text for text in on_page(answer))


def test_seconds_are_named_by_what_they_include_in_the_price_and_in_both_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten seconds of training alone, and one in the test, of which each takes 23 with start and evaluation."""
    answer = advised(monkeypatch)
    alone = "training alone, without start and evaluation"
    tried, tested = words.table(answer), tested_words.table(answer)
    seconds = [row[tried.header.index(f"{alone}, on inner training images")] for row in tried.rows]
    assert [one.replace("\N{NO-BREAK SPACE}", " ") for one in seconds] == ["10.0 s", "40.0 s"]
    assert tested.rows[0][tested.header.index(f"{alone}, on all training images (s)")] == "1 ± 0"
    assert all(text.count(alone) == 2 for text in on_page(answer))
    lines = Price({"dear": 10.0}, starting=1.0, possible=1).lines([Round(1, 1)], seeds=3)
    assert lines[0].replace("\N{NO-BREAK SPACE}", " ").endswith(": 1 training with start and evaluation, about 23.0 s")


def test_a_fraction_of_the_training_images_is_one_column_of_the_learning_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 50 % repeat 2 has an image more than the others, and at 75 % a training is missing."""
    sizes = {0.25: (7, 7, 7), 0.5: (15, 16, 15), 0.75: (23, 1023), 1.0: (1030, 1030, 1030)}

    def run(settings: Mapping[str, Any], _: Sequence[str]) -> dict[str, Result]:
        results = {}
        # Other than in the fractions' order.
        for name, one in reversed(settings.items()):
            fraction = one["defaults.data.split.train_fraction"]
            repeats = []
            for number, train in enumerate(sizes[fraction], start=1):
                accuracy = fraction - number / 100
                done = repeat(number, seconds=1.0, right=90)
                record = written_results.record_of(
                    number, done.record.recipe, parts={"train": train, "val": 0, "test": IMAGES}
                )
                repeats.append(done._replace(record=record, scores=written_results.scores_of(accuracy=accuracy)))
            results[name] = Result(name, repeats)
        return results

    points = advising._points(Candidate("cheap", {}), [], run)
    table = page.points(advised(monkeypatch)._replace(points=points))
    assert table.header == ("repeat", "7 images", "15 to 16 images", "23 to 1,023 images", "1,030 images")
    assert table.rows == [
        ("1", "24.0", "49.0", "74.0", "99.0"),
        ("2", "23.0", "48.0", "73.0", "98.0"),
        ("3", "22.0", "47.0", DASH, "97.0"),
    ]


@pytest.mark.parametrize(("train", "curves"), [(3, 0), (4, 1)])
def test_of_one_training_image_a_class_no_curve_is_trained_and_why_is_said(
    monkeypatch: pytest.MonkeyPatch, train: int, curves: int
) -> None:
    """The record has three classes."""
    trained = list[str]()

    def points(*_: Any) -> dict[int, list[Point]]:
        trained.append("curve")
        return {1: [Point(3, 0.5, IMAGES, 0.25), Point(train, 0.6, IMAGES, 1.0)]}

    monkeypatch.setattr(advising, "_points", points)
    record_of = written_results.record_of
    parts = {"train": train, "val": 0, "test": IMAGES}
    monkeypatch.setattr(
        written_results, "record_of", lambda *of, **named: record_of(*of, **{"classes": "abc", "parts": parts} | named)
    )
    answer = advised(monkeypatch)
    assert len(trained) == curves
    for text in on_page(answer):
        assert ("There is no learning curve: the inner divisions have too few" in text) == (not curves)
        assert ("labeled images are worth about" in text) == bool(curves)


def test_of_versions_alone_seconds_compare_and_the_versions_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = advised(monkeypatch, versions={"python": "3.11.7", "torch": "2.9.0"})
    assert answer.costs == TRAINED
    assert costs.sentence(answer.advice.compared.machines) == (
        "Not all repeats were trained alike, which alone changes results: "
        "torch 2.15.0 (1 candidate), 2.9.0 (1 candidate)."
    )


def test_of_equal_candidates_the_cheaper_one_by_seconds_that_compare_goes_on() -> None:
    def result(**machine: Any) -> Result:
        return Result("", [repeat(1, seconds=1.0, right=90, **machine)])

    assert costs.of({"dear": result(), "cheap": result(threads=1)}, TIMED) == TIMED
    # One that was left out in the round counts for nothing.
    assert costs.of({"dear": result(threads=1)}, TIMED) == {"dear": 1.0}


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (
            95,
            "On the test part fine-tuning has no detectable difference from a logistic regression on the features of ",
        ),
        (50, ""),
    ],
)
def test_a_recommendation_that_gains_nothing_over_a_frozen_probe_says_so(
    right: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = advised(monkeypatch)
    # Differences that are all the same have no interval.
    probes = {
        one.number: Probe(
            "", {row["path"]: image < right + one.number - 2 for image, row in enumerate(one.predictions)}
        )
        for one in answer.tested.repeats
    }
    probed = answer._replace(tested=answer.tested._replace(probes=probes))
    for text in (*on_page(probed), printed(probed, capsys)):
        assert said in text
        assert ("which trains no layer" in text) == bool(said)
    data = plain.as_data(probed)["frozen_probe"]
    assert data["accuracy"] == pytest.approx(right / 100)
    assert data["difference"] == pytest.approx((88 - right) / 100)
    assert data["note"].startswith(said)
    assert bool(data["note"]) == bool(said)
    assert plain.as_data(answer)["frozen_probe"] is None


def test_a_probe_that_is_as_right_in_every_image_has_no_interval_and_the_data_is_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = advised(monkeypatch)
    probes = {
        one.number: Probe("", {row["path"]: row["correct"] == "1" for row in one.predictions})
        for one in answer.tested.repeats
    }
    alike = answer._replace(tested=answer.tested._replace(probes=probes))

    def refused(constant: str) -> None:
        raise AssertionError(constant)

    probe = json.loads(plain.as_json(alike), parse_constant=refused)["frozen_probe"]
    assert (probe["difference"], probe["interval"]) == (0.0, None)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (["advice-1-aa"], "opened for the recommendation of another advice too (advice-1-aa): the accuracy of one"),
        ([f"advice-{n}-aa" for n in range(5)], "opened for 5 other recommendations too (advice-0-aa, advice-1-aa,"),
    ],
)
def test_a_test_part_that_was_opened_before_is_not_said_to_be_opened_once(
    others: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = advised(monkeypatch, others=others)
    assert said in printed(answer, capsys)
    for text in on_page(answer):
        assert said in text.replace("\\", "")
        assert "The test part, opened more than once" in text
    assert plain.as_data(answer)["other_tests"] == others
    for text in on_page(advised(monkeypatch)):
        assert "The test part, opened once" in text
        assert "is a little optimistic" not in text


def test_the_command_holds_on_the_committed_params_yaml_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "my spiders"
    for name in ("araneus", "argiope"):
        (folder / name).mkdir(parents=True)
    edited = ["data=folder", f"folder='{folder}'", "image_size=64", "budget=3", "defaults.data.split.test=0.4"]
    values = overriding.read([*edited, "freeze=3c"]).settings.values
    monkeypatch.setattr(config, "read", lambda: values)
    chosen = Candidate("probe", {"freeze": "probe", "augmentation": "none"})
    command = advising._command(chosen, ["threads=2", "budget=5"])
    words = shlex.split(command)
    assert words[:3] == ["dvc", "exp", "run"]
    said = dict(word.split("=", 1) for word in words[4::2])
    assert said == {
        "folder": f"'{folder}'",
        "data": "folder",
        "image_size": "64",
        "defaults.data.split.test": "0.4",
        "threads": "2",
        "budget": "5",
        "freeze": "probe",
        "augmentation": "none",
    }


def test_the_best_has_a_command_of_its_own_beside_that_of_a_cheaper_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = advised(monkeypatch, threads=1)._replace(best_command="dvc exp run -S freeze=2")
    assert (answer.advice.name, answer.advice.best) == ("cheap", "dear")
    for text in (*on_page(answer), printed(answer, capsys)):
        assert text.index(answer.command) < text.index("the better bet") < text.index("dvc exp run -S freeze=2")
    assert plain.as_data(answer)["best_command"] == "dvc exp run -S freeze=2"
    alone = advised(monkeypatch)
    assert alone.best_command == ""
    assert plain.as_data(alone)["best_command"] == alone.command


def test_a_recommended_frozen_probe_is_not_compared_with_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def probed(freeze: str) -> Answer:
        answer = advised(monkeypatch)
        runs = []
        for one in answer.tested.repeats:
            recipe = written_results.settings_of("quick", freeze=freeze)
            runs.append(one._replace(record=written_results.record_of(one.number, recipe)))
        right = {one.number: Probe("", {row["path"]: False for row in one.predictions}) for one in runs}
        return answer._replace(tested=answer.tested._replace(repeats=runs, probes=right))

    header = tested_words.table(probed("3b")).header
    assert header[0] == "candidate"
    assert set(tables.BESIDE_PROBE) < set(header)
    row, always = tested_words.table(probed("probe")).rows
    left = tested_words.table(probed("probe")).header
    assert list(left) == [name for name in header if name not in tables.BESIDE_PROBE]
    assert len(row) == len(always) == len(left)
    assert always[:3] == ("always the most frequent class", "50.00", DASH)
    assert plain.as_data(probed("probe"))["most_frequent_class"] == 0.5
    assert tested_words.probe(probed("probe")) == ""


@pytest.mark.parametrize("grouped", [False, True])
def test_what_the_interval_of_the_test_is_over_is_said_with_the_number_of_groups(
    grouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = advised(monkeypatch)
    if grouped:
        runs = [
            one._replace(predictions=[row | {"group": str(place // 4)} for place, row in enumerate(one.predictions)])
            for one in answer.tested.repeats
        ]
        answer = answer._replace(tested=answer.tested._replace(repeats=runs))
    for text in on_page(answer):
        assert "Every repeat draws a new split: intervals" in text
        assert ("The 100 test images are in 25 groups." in text) == grouped


def test_fractions_with_the_same_images_are_in_the_curve_once() -> None:
    def points(*images: int) -> list[Point]:
        fractions = (0.25, 0.5, 0.75, 1.0)
        return [Point(one, 0.5, IMAGES, fraction) for one, fraction in zip(images, fractions, strict=True)]

    curve = distinct({1: points(24, 24, 48, 48), 2: points(24, 24, 47, 48)})
    assert [[point.fraction for point in one] for one in curve.values()] == [[0.5, 0.75, 1.0]] * 2


def test_a_curve_without_an_error_has_no_gain_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    perfect = {1: [Point(50, 1.0, IMAGES, 0.5), Point(100, 1.0, IMAGES, 1.0)]}
    monkeypatch.setattr(advising, "_points", lambda *_: perfect)
    monkeypatch.setattr(advising, "_has_smaller_parts", lambda _: True)
    data = plain.as_data(answer := advised(monkeypatch))
    assert data["gain"] is None
    assert data["more_images"].startswith("The networks of the learning curve made no error")
    for text in on_page(answer):
        assert data["more_images"] in text
        assert "came to the same images are there once" in text
