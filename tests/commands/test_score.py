"""What `orbweaver score` prints of bundles, made up here."""

import json
import re

import numpy as np
import pytest

from pipeline.assembly.new_photographs import Scored
from pipeline.commands import score
from pipeline.evaluation import scores
from pipeline.evaluation.compare import comparison
from pipeline.evaluation.compare.experiments import Experiment, Trial


def scored(name, right, *, sure=0.9, groups=None):
    """Return a bundle on photographs of class a, of which it calls some a."""
    called = np.where(np.array(right)[:, None], sure, 1 - sure)
    values = scores.scores(
        np.zeros(len(right), dtype=np.int64), scores.logits_of(np.hstack([called, 1 - called])), ["a", "b"]
    )
    trial = Trial(
        {f"{place:04}": bool(one) for place, one in enumerate(right)},
        train=9,
        scores={key: values[key] for key in scores.SCORES if key in values},
        groups={f"{place:04}": str(group) for place, group in enumerate(groups or [])},
    )
    return Scored(Experiment(name, {1: trial}), values, {}, [])


def printed(*bundles):
    compared = comparison.compare([one.experiment for one in bundles])
    return score.as_text(bundles, compared), score.as_data(bundles, compared)


def test_bundles_with_the_same_answers_have_no_interval_as_in_compare():
    text, data = printed(*(scored(name, [1] * 50 + [0] * 5) for name in ("one", "other")))
    assert data["pairs"][0]["interval"] is None
    assert data["pairs"][0]["verdict"] == "no detectable difference"
    assert "+0.0 " in text
    assert "0.0 to 0.0" not in text


def test_a_recall_that_is_not_all_is_not_printed_as_all():
    text, _ = printed(scored("one", [1] * 3_999 + [0]))
    assert re.search(r"^a +4,000 +100\.0 +> 99\.9$", text, re.MULTILINE)


def test_a_probability_of_0_has_a_loss_and_json_no_infinity():
    text, data = printed(scored("one", [1] * 8 + [0] * 2, sure=1.0))
    assert data["bundles"][0]["nll"] == pytest.approx(0.2 * -np.log(2.0**-149), rel=1e-6)
    assert json.dumps(data, allow_nan=False)
    assert max(map(len, text.split())) < 30


def test_no_zero_has_a_sign_and_no_difference_is_of_more_than_100_points():
    text, _ = printed(scored("one", [1] * 3_999 + [0]), scored("other", [1] * 4_000))
    assert "-0.0 " not in text
    rights = {"p": [1, 1, 1, 0], "q": [0] * 4}
    text, data = printed(*(scored(name, right, groups=[0, 0, 1, 2]) for name, right in rights.items()))
    assert " to 100.0 " in text
    assert data["pairs"][0]["interval"]["high"] == 1


def test_of_one_group_of_photographs_the_verdict_says_so():
    text, data = printed(*(scored(name, right, groups=[0] * 6) for name, right in (("p", [1] * 6), ("q", [0] * 6))))
    assert data["pairs"][0]["interval"] is None
    assert "one group does not tell" in text


def test_a_class_without_a_photograph_that_is_predicted_is_said_with_its_precision():
    bundles = [scored("one", [1, 1, 0, 0]), scored("two", [1, 1, 1, 1])]
    text, data = printed(*bundles)
    assert score.remarks(bundles) == [
        "one: no photograph is of 'b', predicted for 2 photographs: macro-F1 counts an F1 of 0 for each such class, as "
        "scikit-learn does"
    ]
    rows = [line.split() for line in text.splitlines() if line.startswith("b ")]
    assert rows == [["b", "0", "0.0", "–"], ["b", "0", "–", "–"]]
    nothing = {"recall": None, "f1": None, "support": 0}
    of_b = [one["classes"]["b"] for one in data["bundles"]]
    assert of_b == [{"precision": 0.0} | nothing, {"precision": None} | nothing]
    assert data["bundles"][1]["classes"]["a"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 4}


def test_the_interval_is_that_of_the_accuracy_before_it():
    text, data = printed(scored("one", [1] * 8 + [0] * 2))
    assert re.search(r"^bundle +photographs +accuracy \(%\) +its 95 % interval +macro-F1", text, re.MULTILINE)
    assert data["bundles"][0]["interval"] == pytest.approx({"low": 0.490, "high": 0.943}, abs=1e-3)
    assert re.search(r"^one +10 +80\.00 +49\.0 to 94\.3\u00a0% ", text, re.MULTILINE)
