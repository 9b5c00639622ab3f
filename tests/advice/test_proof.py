"""The proof of the advice: regrets that are replayed from a table of trainings."""

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import advice_images
import advice_regret
import advice_rules
import advice_table
import numpy as np
import pytest
import scipy

from pipeline.advice import prior

ACCURACY = {"3b": 0.9, "2": 0.8, "1": 0.6, "3c": 0.3}


def _rows(source: str, test: Mapping[str, float], inner: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """All rows of one cut; of 60 inner answers the first ones are right, so that differences are certain."""
    rows = []
    for name in test:
        right = round(60 * (inner or test)[name])
        for part, number in itertools.product((advice_table.INNER, advice_table.OUTER), range(1, 4)):
            row = {"set": source, "per_class": 6, "candidate": name, "part": part, "repeat": number, "train": 120}
            answers = {"right": "1" * right + "0" * (60 - right)} if part == advice_table.INNER else {}
            rows.append(row | {"accuracy": test[name], "seconds": 1.0} | answers)
    return rows


def _table(folder: Path, *sets: list[dict[str, Any]]) -> Path:
    file = folder / "table.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for rows in sets for row in rows), encoding="utf-8")
    return file


def _cuts(folder: Path, *sets: list[dict[str, Any]]) -> list[Any]:
    divisions = folder / "divisions.json"
    tested = [list(range(60)), list(range(30, 90)), list(range(60, 120))]
    divisions.write_text(json.dumps({f"{rows[0]['set']} 6": tested for rows in sets}), encoding="utf-8")
    cuts: list[Any] = advice_regret.cuts(_table(folder, *sets), divisions)
    return cuts


@pytest.fixture
def found(tmp_path: Path) -> list[Any]:
    return _cuts(tmp_path, _rows("moths", ACCURACY), _rows("bees", ACCURACY))


def test_regrets_are_those_that_follow_by_hand(found: list[Any]) -> None:
    regrets = advice_regret.regrets(found)
    of_moths = {rule: [one["moths"] for one in budgets.values()] for rule, budgets in regrets.items()}
    assert of_moths["advice"] == of_moths["random search"][2:] * 3 == [0.0] * 3
    assert of_moths["always 3b"] == of_moths["static list"] == of_moths["full search"] == [0.0]
    assert of_moths["always strategy 1"] == [pytest.approx(0.3)]


def test_tests_of_a_replay_have_the_correction_of_the_command(found: list[Any]) -> None:
    """It is for parts that overlap: by the number of training images, which the table has."""
    assert [one.train for one in found[0].experiment("3b", 3).trials.values()] == [120] * 3


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 9])
def test_random_search_is_the_mean_over_all_draws(found: list[Any], budget: int) -> None:
    names = list(ACCURACY)
    expected = fmean(
        0.9 - max(ACCURACY[name] for name in drawn) for drawn in itertools.combinations(names, min(budget, len(names)))
    )
    shares = advice_rules.at_random(found[0], names, budget)
    assert sum(shares.values()) == pytest.approx(1)
    assert sum(share * found[0].regret(name) for name, share in shares.items()) == pytest.approx(expected)


@pytest.mark.slow
def test_what_a_rule_chooses_does_not_depend_on_the_test_part(found: list[Any]) -> None:
    order, other = list(ACCURACY), dict(zip(ACCURACY, reversed(ACCURACY.values()), strict=True))
    for choose in advice_rules.RULES.values():
        for budget in advice_regret.BUDGETS:
            assert choose(found[0], order, budget) == choose(replace(found[0], test=other), order, budget)


def test_rules_are_compared_over_sources_once_these_are_five(tmp_path: Path) -> None:
    names = ("moths", "bees", "ants", "wasps", "digits")
    accuracies = [ACCURACY | {"1": 0.6 + place / 100} for place in range(5)]
    found = _cuts(tmp_path, *(_rows(name, one) for name, one in zip(names, accuracies, strict=True)))
    gaps = [0.3 - place / 100 for place in range(5)]
    known = scipy.stats.ttest_1samp(gaps, 0)
    tested = advice_regret.differences(found)
    tests = sum(map(len, tested.values()))
    for by_rule in tested.values():
        one = by_rule["always strategy 1"]
        assert one.mean == pytest.approx(fmean(gaps))
        assert (one.low, one.high) == pytest.approx(known.confidence_interval())
        # By Holm's method, so by how many depends on the other rules.
        assert any(one.p == pytest.approx(count * known.pvalue) for count in range(2, tests + 1))
        assert by_rule["full search"].p == 1
    text = advice_regret.page(found)
    assert re.search(r"\*\*Shown to be worse than the advice:\*\* .*always strategy 1 \(at 2, 5, 10 trainings\)", text)
    assert "**Shown to be better than the advice:** none." in text
    assert r"| always strategy 1 | +28.0 (+26.0 to +30.0), p \< 0.001 |" in text
    assert "- 6 images per class: `3b` 5\n" in text
    assert "| rule | trainings | ants | bees | digits | moths | wasps | mean of 5 sources | mean of the 4 not " in text
    few = _cuts(tmp_path, *(_rows(name, one) for name, one in list(zip(names, accuracies, strict=True))[:4]))
    assert "It is **not shown**: 4 sources are too few for an interval." in advice_regret.page(few)


def test_an_order_learned_for_a_source_has_not_seen_it(tmp_path: Path) -> None:
    opposite = {"3b": 0.3, "2": 0.6, "1": 0.8, "3c": 0.9}
    found = _cuts(tmp_path, _rows("moths", ACCURACY), _rows("bees", opposite))
    static = advice_regret.regrets(found)["static list"]
    assert all(one == {"moths": pytest.approx(0.6), "bees": pytest.approx(0.6)} for one in static.values())


def test_candidates_of_which_a_training_is_missing_are_in_no_cut(tmp_path: Path) -> None:
    rows = _rows("moths", ACCURACY)
    found = _cuts(tmp_path, rows[:-1], _rows("bees", ACCURACY))
    assert [sorted(one.test) for one in found] == [["1", "2", "3b"]] * 2


def test_a_line_that_was_cut_short_is_trained_again(tmp_path: Path) -> None:
    file = _table(tmp_path, _rows("moths", ACCURACY))
    file.write_bytes(file.read_bytes()[:-9])
    assert len(advice_table.table(file)) == len(ACCURACY) * 6 - 1
    advice_table.mend(file)
    with file.open("a", encoding="utf-8") as target:
        target.write(json.dumps(_rows("moths", ACCURACY)[-1]) + "\n")
    assert advice_table.table(file) == _rows("moths", ACCURACY)


@pytest.mark.slow
def test_the_page_and_the_prior_are_what_follows_from_the_table_in_the_repository() -> None:
    found = advice_regret.cuts(advice_table.TABLE, advice_table.DIVISIONS)
    assert advice_regret.DOCS.read_text(encoding="utf-8") == advice_regret.page(found)
    assert prior.FILE.read_text(encoding="utf-8") == advice_regret.prior_of(found)


def test_a_cut_has_so_many_images_of_each_class_to_learn_from_and_smaller_ones_are_in_it() -> None:
    array = np.random.default_rng(0).integers(0, 256, (60, 3, 4, 4), dtype=np.uint8)
    whole = advice_images.ImageSet(array, ["bee"] * 25 + ["moth"] * 35)
    learned = []
    for size in (3, 6):
        packed, rows = advice_images.cut(whole, size)
        assert [row.path for row in rows] == packed.paths
        assert [packed.classes[label] for label in packed.labels] == [row.label for row in rows]
        for row, image in zip(rows, packed.images, strict=True):
            assert np.array_equal(image, array[int(row.path.split("/")[1])])
        learned.append({row.path for row in rows if row.part == "train"})
        assert len(rows) == 60
    assert learned[0] < learned[1]
    assert [len(one) for one in learned] == [6, 12]
