import math

import numpy as np
import pytest

from pipeline.commands import compare
from pipeline.core.errors import InputError
from pipeline.evaluation import scores as scoring
from pipeline.evaluation.compare import comparison
from pipeline.evaluation.compare.experiments import Experiment, Trial
from pipeline.evaluation.predictions import calibration, calibration_error_by_chance
from pipeline.evaluation.scores import SCORES, Score, scores

CLASSES = ["a", "b", "c"]
ACTUAL = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 2])


def _logits(predicted, count):
    return np.eye(count, dtype=np.float32)[predicted] * 5


@pytest.fixture
def result():
    return scores(ACTUAL, _logits(PREDICTED, 3), CLASSES)


def test_accuracy_is_the_part_of_images_that_are_right(result):
    assert result["accuracy"] == pytest.approx(4 / 6)
    assert result["test_images"] == 6


def test_the_confusion_has_a_row_an_actual_class(result):
    assert result["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_precision_recall_and_f1_are_those_computed_by_hand(result):
    a, b, c = (result["classes"][name] for name in CLASSES)
    assert [a["precision"], a["recall"], a["f1"], a["support"]] == pytest.approx([1, 2 / 3, 0.8, 3])
    assert [b["precision"], b["recall"], b["f1"], b["support"]] == pytest.approx([0.5, 0.5, 0.5, 2])
    assert [c["precision"], c["recall"], c["f1"], c["support"]] == pytest.approx([0.5, 1, 2 / 3, 1])


def test_the_means_weigh_every_class_alike(result):
    assert result["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert result["balanced_accuracy"] == pytest.approx((2 / 3 + 0.5 + 1) / 3)


def test_a_class_without_a_test_image_keeps_its_row_and_column():
    result = scores(np.array([0, 0, 1]), _logits([0, 1, 1], 3), CLASSES)
    assert result["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert result["classes"]["c"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_a_class_that_never_occurs_does_not_lower_the_means():
    result = scores(np.array([0, 0, 1]), _logits([0, 1, 1], 3), CLASSES)
    assert result["macro_f1"] == pytest.approx(2 / 3)
    assert result["balanced_accuracy"] == pytest.approx(0.75)


def test_a_wrongly_predicted_class_without_test_images_lowers_macro_f1_alone():
    result = scores(np.array([0, 1]), _logits([0, 2], 3), CLASSES)
    assert result["macro_f1"] == pytest.approx(1 / 3)
    assert result["balanced_accuracy"] == pytest.approx(0.5)


def test_a_single_test_image_is_enough():
    assert scores(np.array([1]), _logits([1], 2), ["a", "b"])["accuracy"] == 1


def test_an_empty_test_part_raises():
    with pytest.raises(InputError, match=r"^test part: no image in it; raise the split's `test`"):
        scores(np.array([], dtype=np.int64), np.zeros((0, 3)), CLASSES)


def test_logits_that_are_not_finite_raise_with_their_number():
    logits = _logits(PREDICTED, 3)
    logits[2, 1] = np.nan
    with pytest.raises(InputError, match=r"^logits: not finite for 1 of 6 images: training diverged; lower `lr`"):
        scores(ACTUAL, logits, CLASSES)


def test_logits_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"logits \(6, 2\) do not fit 6 images of 3 classes"):
        scores(ACTUAL, np.zeros((6, 2)), CLASSES)


def test_an_index_past_the_classes_is_refused():
    with pytest.raises(ValueError, match=r"actual holds 3\.\.3, but there are 3 classes"):
        scores(np.array([3]), np.zeros((1, 3)), CLASSES)


def _probabilities(row):
    weights = [math.exp(value - max(row)) for value in row]
    return [weight / math.fsum(weights) for weight in weights]


@pytest.fixture(scope="module")
def many():
    """200 images of 7 classes, with logits of every confidence."""
    rng = np.random.default_rng(0)
    actual = rng.integers(0, 7, 200)
    return actual, (rng.normal(size=(200, 7)) * 3).astype(np.float32) + 2 * np.eye(7, dtype=np.float32)[actual]


def test_the_top_five_are_those_that_fewer_than_five_classes_beat(many):
    actual, logits = many
    hits = [sum(value > row[label] for value in row) < 5 for label, row in zip(actual, logits, strict=True)]
    assert scores(actual, logits, list("abcdefg"))["top5_accuracy"] == pytest.approx(sum(hits) / 200)


@pytest.mark.parametrize("seed", range(24))
def test_every_score_is_that_of_scikit_learn_to_the_last_bit(seed):
    from sklearn import metrics

    rng = np.random.default_rng(seed)
    classes, images = int(rng.integers(2, 12)), int(rng.integers(1, 60))
    # Among these are classes without an image, some that are never predicted, and equal logits.
    actual = rng.integers(0, classes if seed % 3 else classes // 2 + 1, images)
    logits = rng.normal(size=(images, classes)).astype(np.float32)
    logits = np.round(logits) if seed % 4 == 0 else logits
    logits[:, 0] -= 5 if seed % 5 == 0 else 0
    result = scores(actual, logits, [str(number) for number in range(classes)])
    labels, predicted = np.arange(classes), logits.argmax(axis=1)
    each = metrics.precision_recall_fscore_support(actual, predicted, labels=labels, zero_division=0)
    names = ("precision", "recall", "f1", "support")
    assert [[one[name] for name in names] for one in result["classes"].values()] == np.array(each).T.tolist()
    assert result["accuracy"] == metrics.accuracy_score(actual, predicted)
    assert result["macro_f1"] == metrics.f1_score(actual, predicted, average="macro", zero_division=0)
    assert result["balanced_accuracy"] == each[1][each[3] > 0].mean()
    assert result["confusion"] == metrics.confusion_matrix(actual, predicted, labels=labels).tolist()
    if classes > 5:
        # With the classes turned round, of equal logits the earlier comes first there too.
        turned = metrics.top_k_accuracy_score(classes - 1 - actual, logits[:, ::-1], k=5, labels=labels)
        assert result["top5_accuracy"] == turned


@pytest.mark.parametrize("label", range(7))
def test_of_equal_logits_the_top_five_take_the_same_order_as_the_prediction(label):
    """A network that says the same of all classes predicts the first, and the first five are its top five."""
    result = scores(np.array([label]), np.zeros((1, 7)), list("abcdefg"))
    assert (result["accuracy"], result["top5_accuracy"]) == (label == 0, label < 5)


@pytest.mark.parametrize(("classes", "applies"), [(5, False), (6, True)])
def test_five_classes_have_no_top_five(classes, applies):
    result = scores(np.array([0]), _logits([0], classes), list("abcdef"[:classes]))
    assert ("top5_accuracy" in result) == applies


def test_the_nll_is_the_mean_surprise_at_the_actual_class(many):
    actual, logits = many
    surprises = [-math.log(_probabilities(row)[label]) for label, row in zip(actual, logits.tolist(), strict=True)]
    assert scores(actual, logits, list("abcdefg"))["nll"] == pytest.approx(math.fsum(surprises) / 200)


def test_the_nll_of_logits_far_apart_is_finite():
    assert scores(np.array([1]), np.array([[2000.0, 0.0]]), ["a", "b"])["nll"] == 2000


def test_a_calibration_error_by_chance_is_the_mean_of_networks_that_are_as_sure_as_they_are_right():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(50, 4)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    drawn = [(shares.cumsum(1) > rng.random((50, 1))).argmax(1) for _ in range(400)]
    errors = [calibration(labels, logits)[0] for labels in drawn]
    assert calibration_error_by_chance(logits) == pytest.approx(np.mean(errors), rel=0.05)
    many = calibration_error_by_chance(np.tile(logits, (100, 1)))
    assert many < calibration_error_by_chance(logits) / 4


def test_the_calibration_error_is_guos_sum_over_fifteen_parts(many):
    actual, logits = many
    predictions = [
        (max(p), p.index(max(p)) == label)
        for label, row in zip(actual, logits.tolist(), strict=True)
        for p in [_probabilities(row)]
    ]
    total = 0.0
    for part in range(15):
        inside = [(sure, right) for sure, right in predictions if part / 15 < sure <= (part + 1) / 15]
        total += abs(sum(right for _, right in inside) - math.fsum(sure for sure, _ in inside))
    assert calibration(actual, logits)[0] == pytest.approx(total / 200)


def test_a_confidence_on_the_edge_of_a_part_is_in_the_lower_one():
    [part] = calibration(np.array([0]), np.zeros((1, 3)))[1]
    assert (part["low"], part["high"]) == (4 / 15, 5 / 15)


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not():
    assert calibration(np.array([0, 1]), np.eye(2) * 1000)[0] == 0
    assert calibration(np.array([1, 0]), np.eye(2) * 1000)[0] == 1


def test_the_reliability_table_has_the_parts_with_images_and_all_images(many):
    table = calibration(*many)[1]
    assert sum(part["images"] for part in table) == 200
    assert all(part["low"] < part["confidence"] <= part["high"] for part in table)
    assert [part["low"] for part in table] == sorted({part["low"] for part in table})
    right = sum(part["images"] * part["accuracy"] for part in table)
    assert right / 200 == pytest.approx(scores(*many, list("abcdefg"))["accuracy"])


def test_a_new_row_is_all_that_a_new_score_takes(monkeypatch):
    def error_rate(predictions):
        return 1 - scoring.accuracy(predictions)

    row = Score(title="error rate", description="wrong ones", compute=error_rate, lower_is_better=True)
    monkeypatch.setitem(SCORES, "error_rate", row)
    rates = {"good": (0.1, 0.2, 0.31), "poor": (0.8, 0.9, 1.0)}
    assert scores(ACTUAL, _logits(PREDICTED, 3), CLASSES)["error_rate"] == pytest.approx(2 / 6)
    trials = {
        name: {n: Trial({"1.png": True, "2.png": True}, 10, {"error_rate": value}) for n, value in enumerate(values, 1)}
        for name, values in rates.items()
    }
    result = comparison.compare([Experiment(name, trials[name]) for name in rates], "error_rate")
    assert result.pairs[0].verdict == "good is better on these test images"
    assert result.summaries[1].interval.high == 1
    assert "error_rate (%)" in compare.as_text(result)


@pytest.mark.parametrize("value", [float("nan"), -1.0, 1.5])
def test_a_score_that_its_row_rules_out_is_refused(monkeypatch, value):
    row = Score(title="own", description="of one's own", compute=lambda _: value)
    monkeypatch.setitem(SCORES, "own", row)
    with pytest.raises(InputError, match=rf"^score 'own': {value} is no number from 0 to 1\.0; mend its function$"):
        scores(ACTUAL, _logits(PREDICTED, 3), CLASSES)


def test_a_score_is_at_best_one_unless_its_row_says_otherwise(many):
    actual, logits = many
    result = scores(actual, 1000 * logits, list("abcdefg"))
    assert all(0 <= result[name] <= row.highest for name, row in SCORES.items())
    assert result["nll"] > 1
