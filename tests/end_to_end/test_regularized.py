"""A regularizer of each kind through `dvc exp run`, on the drawn spiders."""

import csv
import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("method", "terms"),
    [("delta", {"train_delta"}), ("spa_gca", {"train_spa", "train_gca"}), ("l2_fe", set())],
)
def test_a_regularizer_is_one_word_and_its_terms_are_in_the_curves_and_on_the_page(
    clone: Any, method: str, terms: set[str]
) -> None:
    more = "-S papers.quick.train.budget.amount=2"
    clone.typed("dvc exp run -S regularizer=delta", more, put={"delta": method})
    record = json.loads((clone.root / "metrics/train/1/record.json").read_text(encoding="utf-8"))
    assert record["recipe"]["regularizer"]["method"] == method
    with (clone.root / "metrics/train/1/history.csv").open(encoding="utf-8", newline="") as stream:
        columns = set(next(csv.reader(stream)))
    assert {name for name in columns if name.startswith("train_")} == {
        "train_loss",
        "train_accuracy",
        *terms,
        *({"train_head_penalty"} if terms else ()),
    }
    page = (clone.root / "metrics/report/index.html").read_text(encoding="utf-8")
    assert f"regularizer {method}" in page
