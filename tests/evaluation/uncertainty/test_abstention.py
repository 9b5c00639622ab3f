import numpy as np
import pytest

from pipeline.evaluation.uncertainty import abstention


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


def test_who_asks_about_everything_leaves_no_error_and_who_asks_about_nothing_leaves_all():
    correct = np.array([False, True])
    assert abstention.asking(np.array([True, True]), correct) == (1.0, 0.0, 0.5)
    assert abstention.asking(np.array([False, False]), correct) == (0.0, 0.5, 0.5)
    assert abstention.asking(np.array([True, False]), correct) == (0.5, 0.0, 0.5)
    assert abstention.asking(np.array([False, True]), correct) == (0.5, 1.0, 0.5)
