import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.scores import scores

CLASSES = ["a", "b", "c"]
ACTUAL = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 2])


def _logits(predicted, count):
    return np.eye(count, dtype=np.float32)[predicted] * 5


@pytest.fixture
def told():
    return scores(ACTUAL, _logits(PREDICTED, 3), CLASSES)


def test_accuracy_is_the_part_of_images_that_are_right(told):
    assert told["accuracy"] == pytest.approx(4 / 6)
    assert told["test_images"] == 6


def test_the_confusion_has_a_row_an_actual_class(told):
    assert told["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_precision_recall_and_f1_are_those_computed_by_hand(told):
    a, b, c = (told["classes"][name] for name in CLASSES)
    assert [a["precision"], a["recall"], a["f1"], a["support"]] == pytest.approx([1, 2 / 3, 0.8, 3])
    assert [b["precision"], b["recall"], b["f1"], b["support"]] == pytest.approx([0.5, 0.5, 0.5, 2])
    assert [c["precision"], c["recall"], c["f1"], c["support"]] == pytest.approx([0.5, 1, 2 / 3, 1])


def test_the_means_weigh_every_class_alike(told):
    assert told["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert told["balanced_accuracy"] == pytest.approx((2 / 3 + 0.5 + 1) / 3)


def test_a_class_without_a_test_image_keeps_its_row_and_column():
    told = scores(np.array([0, 0, 1]), _logits([0, 1, 1], 3), CLASSES)
    assert told["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert told["classes"]["c"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_a_class_that_never_occurs_does_not_lower_the_means():
    told = scores(np.array([0, 0, 1]), _logits([0, 1, 1], 3), CLASSES)
    assert told["macro_f1"] == pytest.approx(2 / 3)
    assert told["balanced_accuracy"] == pytest.approx(0.75)


def test_a_wrongly_predicted_class_without_test_images_lowers_macro_f1_alone():
    told = scores(np.array([0, 1]), _logits([0, 2], 3), CLASSES)
    assert told["macro_f1"] == pytest.approx(1 / 3)
    assert told["balanced_accuracy"] == pytest.approx(0.5)


def test_a_single_test_image_is_enough():
    assert scores(np.array([1]), _logits([1], 2), ["a", "b"])["accuracy"] == 1


def test_an_empty_test_part_is_told():
    with pytest.raises(InputError, match=r"^test part: no image in it; raise the split's `test`"):
        scores(np.array([], dtype=np.int64), np.zeros((0, 3)), CLASSES)


def test_logits_that_are_not_finite_are_told_with_their_number():
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
