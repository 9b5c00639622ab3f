"""A cut of benchmarks/uncertainty.py."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from scipy.stats import binom

import pipeline


def _benchmark():
    file = Path(pipeline.__file__).parents[1] / "benchmarks/uncertainty.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_uncertainty", file)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("REAL_DATA"),
    reason="REAL_DATA names no folder with photographs: the coverage of sets on real images is not checked",
)
def test_sets_of_photographs_reach_their_level_as_often_as_promised():
    benchmark, folder = _benchmark(), Path(os.environ["REAL_DATA"]) / "clothing10"
    head = benchmark.trained(benchmark.read(folder, "train", each=10))
    others = benchmark.read(folder, "test", each=16)
    rows = benchmark.coverage(head.decision_function(others.features), others.labels, count=60, splits=100)
    assert [row["rank"] for row in rows] == [58, 60]
    for row in rows:
        # Above the interval it may be: the most probable class is always in.
        assert binom.ppf(0.0005, 100, row["expected_share"]) <= row["reached"]
        assert row["level"] < row["mean_coverage"] < 1
        assert 1 < row["mean_set_size"] < 10
