"""Against formulas written out, and simulations of the error, the power and the coverage that are promised."""

import math
from pathlib import Path

import numpy as np
import pytest
import simulated
from scipy import stats
from simulated import SIZES, VARIATIONS, gains_of, rejected, rejected_over_splits

from pipeline.evaluation.compare import power
from pipeline.evaluation.compare.crossed import crossed, crossed_interval, crossed_test
from pipeline.evaluation.compare.statistics import wilson

STUDIES = Path(__file__).parents[3] / "docs/studies.md"
# 5 % and what 10,000 draws may add by chance.
MOST = 0.054


def table(n=4, images=30, seed=1):
    return np.random.default_rng(seed).normal(size=(n, images)) + 0.3


def test_the_variances_are_those_of_the_two_way_analysis_written_out():
    values = table()
    n, m = values.shape
    mean = math.fsum(values.ravel()) / (n * m)
    of_repeats = [math.fsum(row) / m for row in values]
    of_images = [math.fsum(column) / n for column in values.T]
    residual = math.fsum((values[r, i] - of_repeats[r] - of_images[i] + mean) ** 2 for r in range(n) for i in range(m))
    parts = crossed(values)
    assert parts.mean == pytest.approx(mean)
    assert parts.of_repeats == pytest.approx(math.fsum((one - mean) ** 2 for one in of_repeats) / (n - 1) / n)
    assert parts.of_images == pytest.approx(math.fsum((one - mean) ** 2 for one in of_images) / (m - 1) / m)
    assert parts.residual == pytest.approx(residual / ((n - 1) * (m - 1)) / (n * m))


def test_the_half_width_adds_both_as_squares_and_is_never_below_either():
    for seed in range(20):
        parts = crossed(table(seed=seed))
        over_repeats = stats.t.isf(0.025, 3) * math.sqrt(parts.of_repeats)
        over_images = stats.t.isf(0.025, 29) * math.sqrt(parts.of_images)
        alone = stats.t.isf(0.025, 29) ** 2 * max(0, parts.of_images - parts.residual)
        assert parts.half_width() == pytest.approx(max(math.hypot(over_repeats, math.sqrt(alone)), over_images))
        assert parts.half_width() >= max(over_repeats, over_images) * (1 - 1e-12)


def test_p_is_the_error_at_which_the_interval_reaches_zero():
    for seed in range(20):
        values = table(seed=seed)
        result, parts = crossed_test(values), crossed(values)
        assert parts.half_width(result.p) == pytest.approx(abs(result.mean))
        assert (result.low > 0 or result.high < 0) == (result.p < 0.05)
        assert (result.low + result.high) / 2 == pytest.approx(result.mean)


def test_images_that_do_not_vary_leave_the_paired_t_test():
    values = np.repeat(np.array([[0.1], [0.3], [0.2]]), 50, axis=1)
    assert crossed_test(values).p == pytest.approx(stats.ttest_1samp([0.1, 0.3, 0.2], 0).pvalue)


def test_repeats_that_do_not_vary_leave_the_t_test_over_the_images():
    row = np.repeat([1.0, 0.0, -1.0], [12, 45, 3])
    assert crossed_test(np.tile(row, (3, 1))).p == pytest.approx(stats.ttest_1samp(row, 0).pvalue)


def test_without_spread_there_is_no_evidence():
    result = crossed_test(np.full((3, 40), 0.5))
    assert (result.p, math.isnan(result.low)) == (1, True)
    assert power.smallest_detectable_crossed(np.full((3, 40), 0.5)) is None


def test_a_mean_far_beyond_its_spread_has_a_p_that_is_small_and_above_zero():
    assert 0 < crossed_test(table(n=20, images=1000) + 100).p < 1e-12


@pytest.mark.parametrize("shape", [(1, 40), (3, 1)])
def test_one_repeat_or_one_image_has_no_spread(shape):
    with pytest.raises(ValueError, match="needs two of each"):
        crossed(np.zeros(shape))


def test_an_accuracy_whose_repeats_agree_has_wilsons_interval():
    right = np.tile(np.repeat([1.0, 0.0], [50, 10]), (3, 1))
    assert crossed_interval(right) == pytest.approx(wilson(50, 60))


def test_an_accuracys_interval_is_wider_than_that_over_its_repeats_and_within_0_and_1():
    right = np.array([[1.0] * 60, [1.0] * 60, [1.0] * 50 + [0.0] * 10])
    low, high = crossed_interval(right)
    margin = stats.t.isf(0.025, 2) * np.std(right.mean(1), ddof=1) / math.sqrt(3)
    assert low < right.mean() - margin
    assert high == 1


@pytest.mark.parametrize("name", ["images", "both"])
def test_without_a_difference_few_comparisons_find_one(name):
    """The slow ring draws more of every variation and size."""
    for n, images in ((3, 60), (5, 342)):
        assert rejected(VARIATIONS[name], n, images, draws=2_000) < 0.065


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images above all", "seeds", "both"])
def test_without_a_difference_at_most_5_percent_of_comparisons_find_one(name):
    # `python tests/simulated.py` has the other variations, for the table in docs/studies.md.
    errors = {size: rejected(VARIATIONS[name], *size, draws=simulated.DRAWS) for size in SIZES}
    assert max(errors.values()) <= MOST, errors


@pytest.mark.slow
def test_the_wider_of_two_intervals_would_err_more_often():
    """Why the half-widths are added as squares."""
    found = 0
    for right in simulated.answers(VARIATIONS["both"], repeats=10, images=1340, draws=2_000):
        parts = crossed(gains_of(right))
        repeats, images = stats.t.isf(0.025, 9) ** 2 * parts.of_repeats, stats.t.isf(0.025, 1339) ** 2 * parts.of_images
        found += int((np.abs(parts.mean) > np.sqrt(np.maximum(repeats, images))).sum())
    assert found / 2_000 > 0.08


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images", "seeds", "both"])
def test_of_the_smallest_detectable_difference_about_four_in_five_are_detected(name):
    variation = VARIATIONS[name]
    for n, images in ((5, 342), (10, 342), (10, 1340)):
        [right] = simulated.answers(variation, repeats=n, images=images, draws=250)
        smallest = np.median([power.smallest_detectable_crossed(gains) for gains in gains_of(right)])
        # A gain near all that an accuracy of 90 % leaves makes the spread less, and the power more.
        assert 0.7 < rejected(variation, n, images, draws=2_000, gain=float(smallest)) < 0.95, (n, images)


@pytest.mark.slow
def test_an_accuracys_interval_holds_the_true_one_in_95_percent_of_cases():
    for name, variation in VARIATIONS.items():
        for n, images in ((3, 60), (5, 342)):
            blocks = simulated.answers(variation, repeats=n, images=images, draws=2_000, gains=(0.0,))
            ends = [crossed_interval(one.astype(float)) for right in blocks for one in right[:, 0]]
            inside = np.mean([end.low <= variation.accuracy <= end.high for end in ends])
            assert inside > 0.935, (name, n, images)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images", "seeds", "both"])
def test_the_best_of_six_equal_methods_is_better_than_another_in_at_most_5_percent_of_studies(name):
    """Holm's method calls some pair different where the smallest of 15 p values is below 5 % / 15."""
    found = 0
    for right in simulated.answers(VARIATIONS[name], repeats=5, images=342, draws=4_000, gains=[0.0] * 6):
        methods = right.astype(np.float32)
        parts = [crossed(methods[:, a] - methods[:, b]) for a in range(6) for b in range(a)]
        found += int(np.any([np.abs(one.mean) > one.half_width(0.05 / 15) for one in parts], axis=0).sum())
    assert found / 4_000 < 0.057


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("name", ["images", "seeds", "both"])
def test_where_each_repeat_draws_its_test_part_the_corrected_t_test_keeps_its_5_percent_too(name, n):
    assert rejected_over_splits(VARIATIONS[name], n, 342, draws=5_000) < 0.055


def test_new_splits_detect_less_than_the_same_test_images_and_the_table_has_both():
    new, same = (one(VARIATIONS["both"], 5, 342, draws=2_000, gain=0.05) for one in (rejected_over_splits, rejected))
    assert 0.5 < new < 0.66
    assert same > 0.8
    rows = [line for line in STUDIES.read_text(encoding="utf-8").splitlines() if line.endswith(" |")]
    for split, five in (("new in each repeat", new), ("the same test images", same)):
        assert sum(row.startswith(f"| {split} |") for row in rows) == len(SIZES)
        [row] = [row for row in rows if row.startswith(f"| {split} | 5 | 342 |")]
        assert float(row.split("|")[-2]) == pytest.approx(100 * five, abs=4)
