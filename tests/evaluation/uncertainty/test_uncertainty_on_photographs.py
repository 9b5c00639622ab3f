"""A cut of benchmarks/uncertainty.py."""

import os
from pathlib import Path

import pytest
from benchmark import load
from scipy.stats import binom


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("REAL_DATA"),
    reason="REAL_DATA names no folder with photographs: the coverage of sets on real images is not checked",
)
def test_sets_of_photographs_reach_their_level_as_often_as_promised():
    benchmark, folder = load("uncertainty"), Path(os.environ["REAL_DATA"]) / "clothing10"
    head = benchmark.trained(benchmark.read(folder, "train", each=10))
    others = benchmark.read(folder, "test", each=16)
    rows = benchmark.coverage(head.decision_function(others.features), others.labels, count=60, splits=100)
    assert [row["rank"] for row in rows] == [58, 60]
    for row in rows:
        # Above the interval it may be: the most probable class is always in.
        assert binom.ppf(0.0005, 100, row["expected_share"]) <= row["reached"]
        assert row["level"] < row["mean_coverage"] < 1
        assert 1 < row["mean_set_size"] < 10
