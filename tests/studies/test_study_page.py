"""The page of a study on made-up results."""

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import written_results
from matplotlib.axes import Axes

from pipeline.core.naming import Naming
from pipeline.evaluation.compare import comparison, pairs, statistics
from pipeline.evaluation.compare.crossed import CrossedTest
from pipeline.evaluation.compare.experiments import Experiment, Trial
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting.figures import curves
from pipeline.reporting.material import Probe
from pipeline.reporting.signs import DASH
from pipeline.running.executors import logs
from pipeline.studies import charts, dots, page, results, tables
from pipeline.studies.definition import Printed, PrintedClass, Study
from pipeline.studies.results import Result

IMAGES = 40
AGAIN = ["orbweaver study run mine.yaml", "orbweaver study report mine.yaml"]
STUDY = Study.model_validate(
    {
        "title": "Which <layers>?",
        "source": {"paper": "A paper", "table": "Table 5"},
        "cells": {"head": None, "top": None, "all": None},
        "printed": {
            "head": {"accuracy": 87.43, "seconds": 2550, "trainable": 2149426},
            "top": {"accuracy": 90.25, "runs": [90.95, 89.78], "classes": {"a": {"precision": 94.12, "recall": 86.49}}},
        },
        "slips": ["The runs average less."],
    }
)


RECIPES = {
    unit: written_results.settings_of("quick", {"train.budget": {"unit": unit, "amount": 84}})
    for unit in ("epochs", "iterations")
}


def repeat(number: int, right: int, *, data: str = "d", unit: str = "epochs") -> Repeat:
    """A repeat with so many of forty images right, tested on images of its own."""
    taken = ["a" if place < right else "b" for place in range(IMAGES)]
    numbers = {"precision": 1.0, "recall": right / IMAGES, "f1": 0.5, "support": IMAGES}
    counted = {
        "parameters": {"trainable": 1234, "frozen": 2_000_000, "regularizer": 0},
        "parts": {"train": 93, "val": 0, "test": IMAGES},
    }
    return Repeat(
        number=number,
        record=written_results.record_of(number, RECIPES[unit], data_set="synthetic", classes=["a", "b"], **counted),
        runtime=written_results.runtime_of(train_seconds=10.0 + number, images_per_second=1.0, data_sha256=data),
        scores=written_results.scores_of(accuracy=right / IMAGES, nll=0.3, classes={"a": numbers, "b": numbers}),
        history=[{"epoch": "1", "iteration": "84", "train_loss": "0.5", "train_accuracy": "0.8"}],
        predictions=[
            {"path": f"{number}/{place}.png", "actual": "a", "predicted": one, "correct": str(int(one == "a"))}
            for place, one in enumerate(taken)
        ],
    )


def cell(name: str, *rights: int, data: str = "d") -> Result:
    return Result(name, [repeat(n, r, data=data) for n, r in enumerate(rights, start=1)], "", STUDY.printed.get(name))


FOUND = [cell("head", 20, 21, 20), cell("top", 36, 38, 37), Result("all", [], "not run yet, or not finished")]


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    return page.content("mine", STUDY, FOUND, commands=AGAIN)


@pytest.mark.usefixtures("uncharted")
def test_ours_stand_beside_as_printed_and_what_is_missing_says_so(told: dict[str, object]) -> None:
    table = told["results"]
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert rows["head"]["accuracy (%)"] == "50.83 ± 1.44"
    assert rows["head"]["printed (%)"] == "87.43"
    assert rows["head"]["trainable"] == "1,234"
    assert rows["head"]["trainable, printed"] == "2,149,426"
    assert rows["all"]["accuracy (%)"] == "missing"
    assert not {"frozen", "total (M)", "test loss", "validation loss", "validation accuracy (%)"} & set(table.header)


ALL_COLUMNS = (
    *("cell", "accuracy (%)", "n", "95 % interval", "validation accuracy (%)", "printed (%)"),
    *("test loss", "validation loss", "loss, printed", "training (s)", "printed (s)"),
    *("trainable", "trainable, printed", "frozen", "frozen, printed", "total (M)", "total, printed (M)"),
)


def test_every_printed_column_has_ours_beside_it_also_of_the_validation_part() -> None:
    """As in Table I of hierarchical, whose accuracy and loss are most likely of validation images."""
    printed = Printed(accuracy=78.5, loss=0.54, seconds=60, trainable=9, frozen=1, parameters_millions=28.7)
    rows = [{"epoch": "1", "val_accuracy": "0.5", "val_loss": "9"}, {"val_accuracy": "0.75", "val_loss": "0.625"}]
    validated = [repeat(n, 20)._replace(history=rows) for n in (1, 2)]
    table = tables.results([Result("mine", validated, printed=printed)])
    assert table.header == ALL_COLUMNS
    told = dict(zip(table.header, table.rows[0], strict=True))
    assert (told["validation accuracy (%)"], told["validation loss"]) == ("75.00 ± 0.00", "0.62 ± 0.00")
    assert (told["test loss"], told["loss, printed"]) == ("0.30 ± 0.00", "0.54")
    assert (told["frozen"], told["frozen, printed"]) == ("2,000,000", "1")
    assert (told["total (M)"], told["total, printed (M)"]) == ("2.0", "28.7")


def test_a_validation_part_is_told_also_where_nothing_is_printed() -> None:
    table = tables.results([trained("head"), cell("top", 20)])
    place = table.header.index("validation accuracy (%)")
    assert [row[place] for row in table.rows] == ["50.00", DASH]


def test_the_answer_counts_the_cells_and_says_how_sure_the_best_is(told: dict[str, object]) -> None:
    count, best = told["answer"]
    assert count == "2 of 3 cells are finished."
    assert best.startswith("On synthetic, cell top has the highest mean test accuracy, 92.50 %")
    assert best.endswith("it is detectably better than 1 of 1 other.")


@pytest.mark.usefixtures("uncharted")
def test_cells_of_the_same_mean_are_all_said_to_have_the_highest() -> None:
    study = Study.model_validate({"title": "T", "cells": dict.fromkeys(("head", "top", "all"))})
    cells = [cell("head", 20, 21, 20), cell("top", 36, 38, 37), cell("all", 37, 36, 38)]
    assert page.content("t", study, cells, commands=[])["answer"][1] == (
        "On synthetic, cells top, all have the highest mean test accuracy, 92.50 %; top is detectably better than 1 of "
        "2 others."
    )


@pytest.mark.parametrize(("others", "words"), [(("head",), "the other"), (("head", "body"), "any of the 2 others")])
@pytest.mark.usefixtures("uncharted")
def test_a_best_cell_that_may_be_chance_is_said_to_be_no_better(others: tuple[str, ...], words: str) -> None:
    study = Study.model_validate({"title": "T", "cells": dict.fromkeys(("top", *others))})
    alike = [cell("top", 20, 21, 21), *(cell(name, 20, 21, 20) for name in others)]
    assert page.content("t", study, alike, commands=[])["answer"][1].endswith(
        f"it is not detectably better than {words}."
    )


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"head": (20, 24)}, f"top cannot be tested against the other: {pairs.EQUAL}."),
        ({"head": (20, 24), "body": (18, 22)}, f"top cannot be tested against any of the 2 others: {pairs.EQUAL}."),
        (
            {"head": (20, 24), "body": (35, 39), "all": (35, 40)},
            f"top is not detectably better than any of the 3 others; 2 others cannot be tested: {pairs.EQUAL}.",
        ),
    ],
)
@pytest.mark.usefixtures("uncharted")
def test_a_best_cell_with_the_same_difference_in_every_repeat_is_said_to_be_untested(
    others: dict[str, tuple[int, int]], words: str
) -> None:
    study = Study.model_validate({"title": "T", "cells": dict.fromkeys(("top", *others))})
    apart = [cell("top", 36, 40), *(cell(name, *rights) for name, rights in others.items())]
    answer = page.content("t", study, apart, commands=[])["answer"][1]
    assert answer.replace("; it ", "; top ").endswith(words)


def test_the_page_leads_with_a_chart_of_the_answer_that_words_tell_too(told: dict[str, object]) -> None:
    html = page.page(told).replace("\u00a0%", " %")
    before, after = html.split("Test accuracy of each cell on synthetic, with its 95 % interval: ", 1)
    place = told["results"].header.index("95 % interval")
    head, top = (row[place] for row in told["results"].rows[:2])
    assert after.startswith(f"head 50.83 % ({head}); top 92.50 % ({top}).")
    assert "<table" not in before
    assert before.count("<picture") == 1
    chart = told["groups"][0].answer.light.decode()
    for text in ("head", "top", "test accuracy (%)", "printed", "95 % interval", "a repeat", "mean"):
        assert f">{text}</text>" in chart
    texts = re.findall(r">([^<>]+)</text>", chart)
    assert "all" not in texts
    assert sum(text.startswith(("50.8 (", "92.5 (")) for text in texts) == 2


def test_one_repeat_has_a_value_without_interval_and_repeats_in_the_chart() -> None:
    (group,) = results.groups([cell("head", 20), cell("top", 36)], "head")
    picture = charts.answer(group._replace(results=[one._replace(printed=None) for one in group.results]))
    texts = set(re.findall(r">([^<>]+)</text>", picture.light.decode()))
    assert {"value", "head", "top"} <= texts
    assert not {"a repeat", "mean", "printed"} & texts


@pytest.mark.usefixtures("uncharted")
def test_the_set_is_named_as_the_users_folder_is_and_its_size_is_told() -> None:
    one = repeat(1, 20)
    naming = Naming(data="clothing10", changes={"data": "folder"})
    record = one.record.model_copy(update={"data": one.record.data.model_copy(update={"set": "folder"})})
    named = one._replace(record=record, runtime=one.runtime.model_copy(update={"naming": naming}))
    told = page.content("mine", STUDY, [Result("head", [named])], commands=AGAIN)
    assert told["images"] == ["clothing10 (folder): 8 images in 2 classes"]
    assert "Images: clothing10 (folder): 8 images in 2 classes." in page.page(told)
    assert "On clothing10, cell head has a mean test accuracy of 50.00 %." in page.as_markdown(told)


def test_cells_of_other_machines_or_versions_are_named_in_the_answer(told: dict[str, object]) -> None:
    def on(name: str, **changes: object) -> Result:
        one = cell(name, 20, 21)
        repeats = [each._replace(runtime=each.runtime.model_copy(update=changes)) for each in one.repeats]
        return one._replace(repeats=repeats)

    versions = {"torch": "2.15.0", "dvc": "3"}
    found = [
        on("a", device_name="A CPU, 4 cores", versions=versions),
        on("b", device_name="A CPU, 64 cores", versions=versions | {"dvc": "4", "timm": "1"}),
    ]
    assert len(page.answer(found, [], [])) == 1
    found += [on("c", device_name="NVIDIA H200", threads=8, versions=versions | {"torch": "2.16.0"})]
    assert page.answer(found, [], [])[-1] == (
        "Not all repeats were trained alike, which alone changes results: device A CPU (2 cells), NVIDIA H200 "
        "(1 cell); threads 2 (2 cells), 8 (1 cell); torch 2.15.0 (2 cells), 2.16.0 (1 cell)."
    )
    assert "trained alike" not in page.as_markdown(told)


def test_cells_whose_result_was_there_are_counted_as_such() -> None:
    found = [FOUND[0]._replace(cached=True), *FOUND[1:]]
    count = page.answer(found, [], [])[0]
    assert count == "2 of 3 cells are finished. 1 cell came from earlier runs, without training: head."


@pytest.mark.parametrize(
    ("log", "cached"),
    [
        ("Stage 'train@1' is cached - skipping run\nStage 'evaluate@1' didn't change, skipping\n", True),
        ("Stage 'train@1' is cached - skipping run\nRunning stage 'report':\n", True),
        ("Running stage 'train@1':\nRunning stage 'evaluate@1':\n", False),
        ("Stage 'train@1' is cached - skipping run\nRunning stage 'evaluate@1':\n", False),
        ("ERROR: no room\n", False),
    ],
)
def test_a_cell_was_there_where_its_log_has_neither_training_nor_test(log: str, cached: bool, tmp_path: Path) -> None:
    (tmp_path / "head.log").write_text(log, encoding="utf-8")
    assert logs.was_cached(tmp_path / "head.log") == cached
    assert not logs.was_cached(tmp_path / "none.log")


def test_cells_that_hardly_differ_are_no_detectable_difference() -> None:
    group = results.groups([cell("head", 20, 25, 30), cell("top", 21, 24, 32)], "head")[0]
    (found,) = results.differences(group).pairs
    assert found.verdict == "no detectable difference"


def test_differences_that_are_all_equal_have_no_interval() -> None:
    group = results.groups([cell("head", 20, 25), cell("top", 22, 27)], "head")[0]
    [row] = tables.differences(results.differences(group).pairs).rows
    assert row[2:4] == ("+5.00", DASH)


def test_every_cell_meets_the_baseline_and_the_best_the_others_with_holms_p() -> None:
    group = results.groups([cell("head", 20, 21, 20), cell("top", 36, 38, 37), cell("all", 30, 31, 29)], "head")[0]
    found = results.differences(group).pairs
    assert [(one.a, one.b) for one in found] == [("top", "head"), ("all", "head"), ("top", "all")]
    assert [one.holm for one in found] == pytest.approx(statistics.holm([one.p for one in found]))


def test_holms_p_is_over_all_pairs_also_those_that_are_not_told() -> None:
    rights = {"head": (20, 21, 20), "top": (36, 38, 37), "all": (30, 31, 29), "none": (10, 12, 10)}
    group = results.groups([cell(name, *right) for name, right in rights.items()], "head")[0]
    found = results.differences(group).pairs
    everything = comparison.compare([one.experiment for one in group.results]).pairs
    assert (len(found), len(everything)) == (5, 6)
    by_names = {frozenset((one.a, one.b)): one.holm for one in everything}
    assert [one.holm for one in found] == pytest.approx([by_names[frozenset((one.a, one.b))] for one in found])


def test_where_the_baseline_is_the_best_each_other_is_told_once_against_it() -> None:
    group = results.groups([cell("head", 36, 38, 37), cell("top", 20, 21, 20), cell("all", 30, 31, 29)], "head")[0]
    assert [(one.a, one.b) for one in results.differences(group).pairs] == [("top", "head"), ("all", "head")]


@pytest.mark.usefixtures("uncharted")
def test_a_cell_that_does_not_fit_the_baseline_is_left_out_with_the_reason() -> None:
    odd = cell("odd", 20, 20, 20, 39, 39)
    cells = [cell("head", 20, 21, 20), odd._replace(repeats=odd.repeats[3:]), cell("top", 36, 38, 37)]
    study = Study.model_validate({"title": "T", "cells": dict.fromkeys(("head", "odd", "top"))})
    content = page.content("t", study, cells, commands=[])
    [group] = content["groups"]
    assert [row[0] for row in group.table.rows] == ["top − head"]
    assert group.readings[-1].startswith("odd is left out: head and odd: have no repeat in common (1, 2, 3; 4, 5); ")
    assert content["answer"][1] == (
        "On synthetic, cell top has the highest mean test accuracy of those that are compared, 92.50 %; it is "
        "detectably better than 1 of 1 other."
    )
    assert all("odd is left out" in text for text in (page.page(content), page.as_markdown(content)))


def test_where_no_cell_fits_the_baseline_the_reason_stands_in_place_of_a_table() -> None:
    odd = cell("odd", 20, 20, 39)
    [group] = results.groups([cell("head", 20, 21), odd._replace(repeats=odd.repeats[2:])], "head")
    found = results.differences(group)
    assert (found.pairs, found.left_out) == ((), {})
    assert found.note.startswith("head and odd: have no repeat in common")


def test_cells_on_other_images_have_a_sentence_on_their_intervals_of_their_own() -> None:
    several, single = cell("head", 20, 21, 20), cell("top", 36, data="e")
    every, one = (comparison.over([result.experiment]) for result in (several, single))
    assert results.over(results.groups([several, single], "head")) == f"On synthetic: {every} On synthetic: {one}"
    assert results.over(results.groups([several], "head")) == every
    assert results.over([]) == results.NO_CELL


def test_cells_on_other_images_are_not_compared() -> None:
    grouped = results.groups([cell("head", 20), cell("top", 36, data="e")], "head")
    assert [[one.cell for one in group.results] for group in grouped] == [["head"], ["top"]]
    assert [group.baseline for group in grouped] == ["head", "top"]


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """What is drawn from here on: the axes of the pages' curves, three times each."""
    seen: list[Axes] = []
    monkeypatch.setattr(curves, "save", lambda figure, out, form: seen.extend(figure.axes))
    return seen


def trained(name: str, unit: str = "epochs", *, iterations: int = 84) -> Result:
    """A cell of two epochs, of so many iterations each, with a validation part."""
    plan = [
        {"epoch": str(n), "iteration": str(n * iterations), "train_loss": str(9 / n), "train_accuracy": str(n / 3)}
        | {"val_loss": str(8 / n), "val_accuracy": str(n / 4)}
        for n in (1, 2)
    ]
    return Result(name, [repeat(1, 20, unit=unit)._replace(history=plan)])


def test_the_curves_of_all_cells_are_together_also_of_the_validation_part(axes: list[Axes]) -> None:
    assert list(charts.charts([trained("head"), trained("top")])) == list(charts.QUANTITIES)
    *_, loss = axes
    assert loss.get_ylabel() == "validation loss (mean an image)"
    assert [list(line.get_ydata()) for line in loss.lines] == [[8, 4], [8, 4]]
    assert loss.get_ylim()[1] > 8


def test_curves_are_over_iterations_where_a_cell_is_trained_by_these(axes: list[Axes]) -> None:
    found = charts.charts([trained("l2_fe"), trained("spa", "iterations", iterations=50)])
    assert {one.get_xlabel() for one in axes} == {"iteration"}
    assert [list(line.get_xdata()) for line in axes[0].lines] == [[84, 168], [50, 100]]
    assert found["val_accuracy"].alt.endswith("l2_fe 50 after iteration 168, spa 50 after iteration 100.")


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_loads_nothing_and_every_image_says_what_it_shows(told: dict[str, object]) -> None:
    reader = Reader()
    html = page.page(told)
    reader.feed(html)
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert len(images) == 3
    assert all(image["alt"] and image["src"].startswith("data:") for image in images)
    assert not [tag for tag, attributes in reader.tags if tag == "script" or "http" in str(attributes.get("href"))]
    for fact in ("Which &lt;layers&gt;?", "The runs average less.", "missing: all: not run yet", "90.95", "86.49"):
        assert fact in html


def test_the_markdown_has_the_same_facts(told: dict[str, object]) -> None:
    text = page.as_markdown(told)
    for fact in ("# Which \\<layers\\>?", "50.83 ± 1.44", "87.43", "The runs average less.", "top is better", "86.49"):
        assert fact in text


def test_a_study_of_which_nothing_has_run_has_a_page() -> None:
    nothing = [Result(name, [], "not run yet, or not finished") for name in ("head", "top", "all")]
    empty = page.content("mine", STUDY, nothing, commands=["x"])
    assert empty["answer"] == ["0 of 3 cells are finished."]
    assert "No cell has a result here." in page.page(empty)
    assert "No cell has a result here." in page.as_markdown(empty)


def test_what_makes_the_cells_and_the_page_again_is_named(told: dict[str, object]) -> None:
    assert all(command in text for command in AGAIN for text in (page.page(told), page.as_markdown(told)))


@pytest.mark.usefixtures("uncharted")
def test_each_cell_stands_beside_its_frozen_probe_and_one_without_has_a_dash() -> None:
    probes = {n: Probe("", {f"{n}/{place}.png": place < 20 for place in range(IMAGES)}) for n in (1, 2, 3)}
    cells = [cell("top", 36, 38, 37)._replace(probes=probes), cell("all", 20, 20, 20)]
    cells += [cell("equal", 36, 36, 36)._replace(probes=probes)]
    content = page.content("mine", STUDY, cells, commands=AGAIN)
    table = content["results"]
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert rows["top"]["frozen probe (%)"] == "50.00"
    assert re.fullmatch(r"\+42\.50 \([\d.]+ to [\d.]+\)", rows["top"]["gain over the probe (points)"])
    assert rows["all"]["frozen probe (%)"] == rows["all"]["gain over the probe (points)"] == DASH
    # Without a spread there is no interval.
    assert rows["equal"]["gain over the probe (points)"] == "+40.00 (the same in every repeat)"
    assert page.PROBE in page.as_markdown(content)
    assert "each cell by itself: without Holm's method" in page.PROBE
    without = page.content("mine", STUDY, FOUND, commands=AGAIN)
    assert "frozen probe (%)" not in without["results"].header
    assert page.PROBE not in page.as_markdown(without)


@pytest.mark.usefixtures("uncharted")
def test_the_cells_of_a_page_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, compare = [], results.differences
    monkeypatch.setattr(results, "differences", lambda group: compared.append(group.name) or compare(group))
    study = Study.model_validate({"title": "T", "cells": {"head": None, "top": None}})
    page.content("t", study, [cell("head", 20, 25), cell("top", 30, 36)], commands=[])
    assert len(compared) == 1


def test_of_many_cells_the_best_and_the_baseline_are_shown_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_SHOWN", 4)
    rights = {"head": (4, 5, 4, 4), **{f"c{n}": (3 * n + 2, 3 * n + 2 + n % 2, 3 * n + 3, 3 * n + 2) for n in range(9)}}
    study = Study.model_validate({"title": "T", "cells": dict.fromkeys(rights), "baseline": "head"})
    absent = [Result(f"m{n}", [], "not run yet, or not finished") for n in range(5)]
    cells = [cell(name, *right)._replace(cached=True) for name, right in rights.items()]
    content = page.content("t", study, [*cells, *absent], commands=[])
    [group] = content["groups"]
    compared = [("c8", "head"), ("c7", "head"), ("c6", "head"), ("c8", "c7"), ("c8", "c6")]
    assert [row[0] for row in group.table.rows] == [f"{a} − {b}" for a, b in compared]
    drawn = re.findall(r">([^<>]+)</text>", group.answer.light.decode())
    assert [text for text in drawn if text in rights] == ["c8", "c7", "c6", "head"]
    assert [row[0] for row in content["results"].rows] == [*rights, *(one.cell for one in absent)]
    every = comparison.compare([one.experiment for one in cells], resample=False).pairs
    ahead = sum(one.verdict == "c8 is better" for one in every)
    above = sum(one.verdict == f"{one.b} is better" for one in every if one.a == "head")
    assert 0 < ahead < 9
    assert 0 < above < 9
    assert content["answer"][1].endswith(
        f"it is detectably better than {ahead} of 9 others; 1 other of those shown cannot be tested: {pairs.EQUAL}."
    )
    assert content["answer"][0].endswith("without training: head, c0, c1, c2 and 6 more.")
    assert group.of.startswith("Of 10 cells on synthetic, charts and differences show the 4 with the highest mean ")
    assert group.of.endswith(f" {above} cells are detectably better than head, 0 worse.")
    assert content["missing"] == [f"m0, m1, m2, m3 and 1 more: {absent[0].missing}"]
    assert all("Of all 45 pairs" in text for text in (page.page(content), page.as_markdown(content)))


def packed_at(size: int, one: Result) -> Result:
    """A cell as it is with its photographs packed at this size."""
    record = one.repeats[0].record
    data = record.recipe.data.model_copy(update={"image_size": size})
    recipe = record.recipe.model_copy(update={"data": data})
    repeats = [
        each._replace(
            record=each.record.model_copy(update={"recipe": recipe}),
            runtime=each.runtime.model_copy(update={"data_sha256": str(size)}),
        )
        for each in one.repeats
    ]
    return one._replace(repeats=repeats, images="manifest")


@pytest.mark.usefixtures("uncharted")
def test_cells_on_the_same_photographs_of_other_sizes_are_compared_and_say_their_size() -> None:
    sized = [packed_at(64, cell("head", 20, 21, 20)), packed_at(96, cell("top", 36, 38, 37)), FOUND[2]]
    content = page.content("t", STUDY, sized, commands=[])
    [group] = content["groups"]
    assert [row[0] for row in group.table.rows] == ["top − head"]
    place = content["results"].header.index(tables.SIZE)
    assert [row[place] for row in content["results"].rows] == ["64", "96", tables.MISSING]
    alike = tables.results([packed_at(64, cell("head", 20)), FOUND[2]])
    assert tables.SIZE not in alike.header


def test_other_photographs_of_one_size_are_not_compared() -> None:
    found = [cell("head", 20)._replace(images="manifest"), cell("top", 36)._replace(images="another")]
    assert [[one.cell for one in group.results] for group in results.groups(found, "head")] == [["head"], ["top"]]


@pytest.mark.usefixtures("uncharted")
def test_the_printed_figures_of_a_cell_that_is_another_one_have_a_row_of_their_own() -> None:
    classes = {"a": {"precision": 94, "recall": 86}}
    printed = Printed.model_validate({"accuracy": 91.5, "runs": [90.25], "classes": classes})
    content = page.content("t", STUDY, [FOUND[0]._replace(same={"paper": printed}), *FOUND[1:]], commands=[])
    [head, paper, *_] = [dict(zip(content["results"].header, row, strict=True)) for row in content["results"].rows]
    assert (paper["cell"], paper["accuracy (%)"], paper["printed (%)"]) == (
        "paper (same as head)",
        head["accuracy (%)"],
        "91.50",
    )
    assert [row[-2] for row in content["repeats"].rows] == [DASH, "90.25", "90.95", DASH]
    assert list(content["classes"]) == ["paper (same as head)", "top"]
    assert content["answer"][0] == "2 of 3 cells are finished."
    assert [one.cell for one in content["groups"][0].group.results] == ["head", "top"]


@pytest.mark.usefixtures("uncharted")
def test_what_params_yaml_sets_for_all_cells_is_on_the_page(told: dict[str, object]) -> None:
    line = "params.yaml sets for all cells: lr=0.01"
    content = page.content("mine", STUDY, FOUND, commands=AGAIN, shared=line)
    assert all(line in text for text in (page.page(content), page.as_markdown(content)))
    assert all("sets for all" not in text for text in (page.page(told), page.as_markdown(told)))


@pytest.mark.usefixtures("uncharted")
def test_how_cells_differ_from_what_was_printed_is_on_the_page_below_its_source() -> None:
    line = "Differs from the study's file: lr=0.01; the printed figures are of other settings."
    content = page.content("mine", STUDY, FOUND, commands=AGAIN, departures=[line])
    assert f"- {line}" not in page.as_markdown(content)
    assert page.as_markdown(content).split("\n\n")[1:3] == ["Source: A paper, Table 5.", line]
    assert re.search(r"Source: A paper, Table 5\.</p>\n<p class=\"legend\">Differs from ", page.page(content))


def test_errors_of_the_paper_and_departures_of_ours_are_under_one_heading(told: dict[str, object]) -> None:
    heading = "Errors in the printed table, and where ours differs"
    assert f"## {heading}\n\n- The runs average less." in page.as_markdown(told)
    assert f'<h3>{heading}</h3>\n<ul class="notes">\n<li>The runs average less.</li>' in page.page(told)


@pytest.mark.usefixtures("uncharted")
def test_where_no_printed_class_is_among_the_images_the_page_says_so(told: dict[str, object]) -> None:
    printed = Printed(accuracy=90.25, classes={"Lycosa": PrintedClass(precision=94.12, recall=86.49)})
    source = STUDY.source.model_copy(update={"data": "spiders"}) if STUDY.source else None
    study = STUDY.model_copy(update={"source": source})
    content = page.content("mine", study, [FOUND[0], FOUND[1]._replace(printed=printed), FOUND[2]], commands=AGAIN)
    line = (
        "None of the printed classes is among the images of top; of a copy of the paper's own images, `--data spiders` "
        "reads the paper's class names."
    )
    assert content["unnamed"] == {"top": line}
    assert line in page.as_markdown(content)
    assert "None of the printed classes is among the images of top" in page.page(content)
    # Of the other study one is.
    assert told["unnamed"] == {}


def test_figures_of_another_data_set_are_not_marked_in_the_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = list[float | None]()
    monkeypatch.setattr(dots, "accuracies", lambda rows, *_: drawn.extend(row.printed for row in rows) or b"<svg/>")
    cells = [FOUND[0], FOUND[1]._replace(elsewhere=True)]
    charts.answer(results.Group("g", cells, "head"))
    assert drawn[:2] == pytest.approx([0.8743, None])


def test_an_interval_of_a_difference_ends_at_100_points_and_none_of_equal_ones_is_printed() -> None:
    right = {"a": [1, 1, 1, 0], "b": [0, 0, 1, 0]}
    a, b = (
        Experiment(name, {n: Trial({str(i): v == 1 for i, v in enumerate(row)}, train=90) for n in (1, 2)})
        for name, row in right.items()
    )
    [pair] = comparison.compare([a, b]).pairs
    assert isinstance(pair.test, CrossedTest)
    wide, equal = (pair._replace(test=pair.test._replace(low=low, high=1.2)) for low in (-1.4, math.nan))
    rows = [dict(zip(table.header, table.rows[0], strict=True)) for table in map(tables.differences, ([wide], [equal]))]
    assert [row["95 % interval"] for row in rows] == ["-100.00 to 100.00", DASH]
    assert [row["p"] for row in rows][1] == DASH


def test_a_cell_is_summarized_once_for_a_page_and_anew_where_its_repeats_are_others(monkeypatch):
    made, summarize = [], comparison.summary
    monkeypatch.setattr(comparison, "summary", lambda one, *rest: made.append(one.name) or summarize(one, *rest))
    cells = [cell("head", 20, 21, 20), cell("top", 36, 38, 37)]
    page.content("t", STUDY, cells, commands=AGAIN)
    assert sorted(made) == ["head", "top"]
    first, *_ = cells
    assert first._replace(repeats=first.repeats[:1]).summary.n == 1
