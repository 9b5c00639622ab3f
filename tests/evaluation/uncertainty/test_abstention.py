import numpy as np
import pytest

from pipeline.evaluation.uncertainty import abstention
from pipeline.evaluation.uncertainty.assessment import assess
from pipeline.evaluation.uncertainty.judging import Judgment


def test_the_area_is_the_mean_error_over_all_numbers_kept():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(50), rng.random(50) < 0.7
    order = np.argsort(-confidence)
    errors = [(~correct[order][:kept]).mean() for kept in range(1, 51)]
    curve = abstention.risk_coverage(confidence, correct)
    assert curve.area == pytest.approx(np.mean(errors))
    assert curve.risk == pytest.approx(errors)
    assert curve.coverage == pytest.approx(np.arange(1, 51) / 50)


@pytest.mark.parametrize("by", range(3))
def test_of_images_of_one_confidence_the_order_does_not_matter(by):
    confidence, correct = np.array([0.9, 0.5, 0.5, 0.5]), np.array([True, *np.roll([False, True, True], by)])
    curve = abstention.risk_coverage(confidence, correct)
    assert curve.risk == pytest.approx([0, (1 / 3) / 2, (2 / 3) / 3, 1 / 4])
    assert curve.area == pytest.approx(curve.risk.mean())


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        ([True, True], (1.0, 0.0, 0.5)),
        ([False, False], (0.0, 0.5, 0.5)),
        ([True, False], (0.5, 0.0, 0.5)),
        ([False, True], (0.5, 1.0, 0.5)),
    ],
)
def test_who_asks_about_everything_leaves_no_error_and_who_asks_about_nothing_leaves_all(ask, expected):
    # The first image is predicted wrongly, the second rightly.
    logits, labels = np.eye(2), np.array([1, 1])
    judgment = Judgment(np.full((2, 2), 0.5), {}, {}, None, np.array(ask))
    assessment = assess(judgment, logits, labels, temperature=1.0)
    assert (assessment.asked, assessment.error_of_others, assessment.error) == expected
