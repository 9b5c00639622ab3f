import numpy as np
import pytest

from pipeline.evaluation.predictions import BINS, reliability


def test_every_prediction_is_in_the_bin_of_its_confidence() -> None:
    generator = np.random.default_rng(0)
    sure = generator.random(500).clip(1e-6)
    right = generator.random(500) < sure
    bins = reliability(sure, right)
    assert len(bins) == BINS
    assert sum(one.images for one in bins) == 500
    for one in bins:
        inside = (sure > one.low) & (sure <= one.high)
        assert one.images == inside.sum()
        assert one.confidence == pytest.approx(sure[inside].mean())
        assert one.accuracy == pytest.approx(right[inside].mean())


def test_a_confidence_on_an_edge_is_in_the_bin_below() -> None:
    edges = np.linspace(0, 1, BINS + 1)[1:]
    assert [one.images for one in reliability(edges, np.full(BINS, True))] == [1] * BINS


def test_a_certain_prediction_is_in_the_last_bin_and_a_bin_without_any_is_left_out() -> None:
    assert reliability(np.array([1.0]), np.array([True])) == [((BINS - 1) / BINS, 1.0, 1, 1.0, 1.0)]
