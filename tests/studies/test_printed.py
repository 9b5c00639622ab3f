"""The papers' figures as the studies carry them: the arithmetic that is known of them."""

import math
from pathlib import Path
from statistics import fmean

import pytest
from scipy import stats

import pipeline
from pipeline.evaluation.compare.statistics import corrected_t
from pipeline.studies import definition

ROOT = Path(pipeline.__file__).parents[1]
# The test images of a class of which Table 8's recalls are whole numbers.
TESTED = {
    "Thomisidae": 37,
    "Theraphosidae": 37,
    "Lycosa": 36,
    "Missulena": 37,
    "Araneidae": 37,
    "Trichonephila clavata": 37,
    "Philodromidae": 38,
    "Plator": 48,
    "Cyrtophora": 35,
}


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def printed(name: str) -> dict[str, definition.Printed]:
    return definition.find(name).study.printed


def test_every_results_table_and_figure_of_curves_is_a_study() -> None:
    ours = {"quick-strategies", "quick-regularizers", "gates", "modern"}
    assert set(definition.names()) - ours == {
        "animals",
        "animals-figure3",
        "csca-table1",
        "ecsm-convergence",
        "ecsm-table5",
        "ecsm-table6",
        "ecsm-table8",
        "ecsm-table9",
        "hierarchical-cars",
        "hierarchical-cifar10",
        "hierarchical-table1",
        "spa_gca-figure2",
        *(f"spa_gca-table{number}" for number in (4, 5, 6, 7)),
    }


def test_ecsms_five_runs_average_less_than_is_printed_and_the_others_what_is() -> None:
    found = printed("ecsm-table6")
    means = {cell: round(fmean(one.runs), 2) for cell, one in found.items() if one.runs}
    assert means.pop("ecsm") == 90.18
    assert {cell: found[cell].accuracy for cell in means} == pytest.approx(means, abs=0.011)
    assert round(90.18 - found["resnet50"].accuracy, 2) == 1.50


def test_every_run_is_a_multiple_of_one_in_342() -> None:
    for one in printed("ecsm-table6").values():
        for value in one.runs:
            assert value == pytest.approx(100 * round(value * 3.42) / 342, abs=0.015)


def test_table_8_sums_to_307_of_342() -> None:
    classes = printed("ecsm-table8")["ecsm"].classes
    assert classes.keys() == TESTED.keys()
    right = sum(round(TESTED[name] * one.recall / 100) for name, one in classes.items())
    assert (right, sum(TESTED.values())) == (307, 342)


@pytest.mark.parametrize(
    ("other", "welch", "paired", "by_table_1", "by_images_tested"),
    [("self", 0.064, 0.030, 0.137, 0.083), ("se", 0.052, 0.041, 0.168, 0.107)],
)
def test_ecsm_against_another_is_no_detectable_difference(
    other: str, welch: float, paired: float, by_table_1: float, by_images_tested: float
) -> None:
    found = printed("ecsm-table6")
    ours, theirs = found["ecsm"].runs, found[other].runs
    assert stats.ttest_ind(ours, theirs, equal_var=False).pvalue == pytest.approx(welch, abs=0.0006)
    assert stats.ttest_rel(ours, theirs).pvalue == pytest.approx(paired, abs=0.0006)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    assert corrected_t(differences, train=7, test=3).p == pytest.approx(by_table_1, abs=0.0006)
    assert corrected_t(differences, train=1618, test=342).p == pytest.approx(by_images_tested, abs=0.0006)


def test_table_5s_differences_and_counts_are_as_the_slips_say() -> None:
    found = printed("ecsm-table5")
    accuracy = {cell: one.accuracy for cell, one in found.items()}
    assert round(accuracy["3b"] - accuracy["3c"], 2) == 0.94
    assert round(accuracy["3b"] - accuracy["3a"], 2) == 0.38
    assert {one.trainable + one.frozen for one in found.values()} == {25_710_578}


def test_the_methods_of_two_tables_agree_where_both_print_them() -> None:
    table4, table7 = printed("spa_gca-table4"), printed("spa_gca-table7")
    for data in ("dogs", "cub200", "caltech256_30", "caltech256_60", "mit67"):
        assert table4[f"{data}-spa_gca"] == table7[f"{data}-spa_gca"]
    assert (table7["mit67-spa_gca"].sd, table7["mit67-gca_spa"].sd) == (0.13, 0.07)
    gca = printed("spa_gca-table5")["caltech256_30-gca"]
    assert gca == printed("spa_gca-table6")["r4"]


@pytest.mark.parametrize("part", ["figure2", "table4", "table5", "table6", "table7"])
def test_what_ours_adds_to_the_text_of_spa_gca_is_with_each_of_its_studies(part: str) -> None:
    slips = definition.find(f"spa_gca-{part}").study.slips
    for words in ("ours flips too", "in the recipe's options", "Ours have a mean of 1, as those of AFA"):
        assert sum(words in slip for slip in slips) == 1, words


@pytest.mark.parametrize("part", ["table4", "table5", "table6", "table7"])
def test_a_study_with_printed_figures_of_caltech_says_that_ours_draws_anew(part: str) -> None:
    """Which spreads more than the figures do, by the binomial law of 5,140 images, two of Table 4 aside."""
    name = f"spa_gca-{part}"
    assert any(
        "-S defaults.data.split.division=1 they are drawn once" in slip for slip in definition.find(name).study.slips
    )
    of_caltech = [one for cell, one in printed(name).items() if cell.startswith(("caltech256", "r"))]
    spreads = [(one.sd, 100 * math.sqrt(a * (1 - a) / 5140)) for one in of_caltech if (a := (one.accuracy or 0) / 100)]
    assert len(spreads) >= 4
    assert all(drawn > 0.45 for _, drawn in spreads)
    assert sum((sd or 0) > 0.21 for sd, _ in spreads) == (2 if part == "table4" else 0)
