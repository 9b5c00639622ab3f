import numpy as np
import pytest

from pipeline.reporting.calibration import BINS, bins


def test_every_prediction_is_in_the_bin_of_its_confidence() -> None:
    generator = np.random.default_rng(0)
    sure = generator.random(500).clip(1e-6)
    right = generator.random(500) < sure
    found = bins(sure.tolist(), right.tolist())
    assert len(found) == BINS
    assert sum(one.predictions for one in found) == 500
    for one in found:
        inside = (sure > one.low) & (sure <= one.high)
        assert one.predictions == inside.sum()
        assert one.confidence == pytest.approx(sure[inside].mean())
        assert one.accuracy == pytest.approx(right[inside].mean())


def test_a_confidence_on_an_edge_is_in_the_bin_below() -> None:
    edges = np.linspace(0, 1, BINS + 1)[1:]
    assert [one.predictions for one in bins(edges.tolist(), [True] * BINS)] == [1] * BINS


def test_a_certain_prediction_is_in_the_last_bin() -> None:
    assert bins([1.0], [True])[-1].predictions == 1


def test_an_empty_bin_has_no_mean() -> None:
    assert bins([1.0], [True])[0][2:] == (0, 0.0, 0.0)
