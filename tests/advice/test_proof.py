"""The proof of the advice: regrets that are replayed from a table of trainings."""

import itertools
import json
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

from pipeline.advice import prior

ACCURACY = {"3b": 0.9, "2": 0.8, "1": 0.6, "3c": 0.3}


def _rows(source: str, test: Mapping[str, float], inner: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """All rows of one cut; of 60 inner answers the first ones are right, so that differences are certain."""
    rows = []
    for name in test:
        right = round(60 * (inner or test)[name])
        for part, number in itertools.product((advice_table.INNER, advice_table.OUTER), range(1, 4)):
            row = {"set": source, "per_class": 6, "candidate": name, "part": part, "repeat": number}
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
