"""Against formulas written out, published values and simulation."""

import math
from itertools import product

import numpy as np
import pytest
import scipy
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from pipeline.evaluation.compare import power, statistics
from pipeline.evaluation.compare.mcnemar import McNemar, exact
from pipeline.evaluation.compare.statistics import Interval

# Wang, Chen and Shi 2023, Table 7: accuracy (%) of five runs.
ECSM = (90.95, 89.78, 90.06, 90.64, 89.47)
SELF = (90.35, 88.89, 89.47, 88.89, 89.18)
SE = (89.78, 89.78, 88.89, 89.47, 89.18)
PARTS = {"train": 1618, "test": 686}


def less(one, other):
    return [a - b for a, b in zip(one, other, strict=True)]


def test_the_five_ecsm_runs_average_to_what_they_are():
    result = statistics.interval(ECSM, train=1, test=0)
    assert round((result.low + result.high) / 2, 2) == 90.18


@pytest.mark.parametrize(
    ("other", "corrected", "plain"), [(SELF, (0.136, 0.137), 0.030), (SE, (0.167, 0.168), 0.041)], ids=["self", "se"]
)
def test_ecsm_is_not_distinguished_from_other_attention_once_splits_overlap(other, corrected, plain):
    gained = less(ECSM, other)
    assert round(statistics.corrected_t(gained, **PARTS).p, 3) == corrected[0]
    assert round(statistics.corrected_t(gained, train=7, test=3).p, 3) == corrected[1]
    assert round(statistics.corrected_t(gained, train=1, test=0).p, 3) == plain


def test_without_a_test_part_the_paired_t_test_is_scipys():
    result, reference = statistics.corrected_t(less(ECSM, SE), train=1, test=0), stats.ttest_rel(ECSM, SE)
    assert (result.statistic, result.p) == pytest.approx((reference.statistic, reference.pvalue))
    assert (result.low, result.high) == pytest.approx(reference.confidence_interval())


def test_the_corrected_interval_is_its_formula():
    mean = math.fsum(ECSM) / 5
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in ECSM) / 4)
    margin = 2.7764451051977987 * sd * math.sqrt(1 / 5 + 686 / 1618)  # t of 4 degrees of freedom, from a table
    assert statistics.interval(ECSM, **PARTS) == pytest.approx((mean - margin, mean + margin))


def test_the_interval_and_the_test_of_differences_agree():
    gained = less(ECSM, SELF)
    result = statistics.corrected_t(gained, **PARTS)
    assert (result.low, result.high) == statistics.interval(gained, **PARTS)
    assert Interval(result.low, result.high).covers_zero() == (result.p > 0.05)


@pytest.mark.parametrize("values", [[], [0.5]])
def test_a_single_repeat_has_no_interval(values):
    with pytest.raises(ValueError, match="a spread needs two"):
        statistics.interval(values, train=7, test=3)


def test_equal_differences_are_no_evidence():
    result = statistics.corrected_t([0.1, 0.1, 0.1], train=7, test=3)
    assert math.isnan(result.statistic)
    assert (result.p, Interval(result.low, result.high).covers_zero()) == (1, True)
    assert power.smallest_detectable([0.1, 0.1, 0.1], train=7, test=3) is None


@pytest.mark.parametrize(
    ("right", "total", "expected"),
    [  # Newcombe 1998, Statistics in Medicine 17, 857-872, Table I, method 3
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilsons_interval_is_newcombes(right, total, expected):
    assert statistics.wilson(right, total) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("total", "worth"), [(1, None), (29, None), (3000, 2999.5), (263, 12.3), (40, 1)])
def test_wilsons_interval_is_statsmodels(total, worth):
    for right in range(0, total + 1, 1 + total // 40):
        n = worth or total
        expected = proportion_confint(right * (n / total), n, method="wilson")
        assert statistics.wilson(right, total, worth=worth) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("worth", [None, 0.731])
def test_wilsons_interval_contains_the_share_of_all_or_of_none(worth):
    for total in range(1, 1001):
        independent = worth and worth * total
        assert statistics.wilson(total, total, worth=independent).high == 1
        assert statistics.wilson(0, total, worth=independent).low == 0


@pytest.mark.parametrize("degrees", [1, 2, 4, 0.37, 57.2])
def test_the_critical_t_is_scipys_to_the_bit(degrees):
    alphas = np.linspace(1e-9, 1, 50)
    assert (statistics.critical_t(degrees, alphas) == scipy.stats.t.isf(alphas / 2, degrees)).all()
    assert statistics.critical_t(degrees) == scipy.stats.t.isf(0.025, degrees)


def binomial_p(only_a, only_b):
    n, few = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / 2**n)


@pytest.mark.parametrize(("only_a", "only_b"), [(3, 1), (0, 6), (12, 3), (0, 0), (4, 4)])
def test_mcnemar_is_the_sign_test_of_the_images_that_one_alone_gets_right(only_a, only_b):
    a = [1] * only_a + [0] * only_b + [1, 0]
    b = [0] * only_a + [1] * only_b + [1, 0]
    assert exact(a, b) == McNemar(only_a, only_b, pytest.approx(binomial_p(only_a, only_b)))


def exact_bootstrap(differences):
    """Return the 2.5 % and 97.5 % quantiles of the mean over all equally likely draws."""
    means = [math.fsum(drawn) / len(drawn) for drawn in product(differences, repeat=len(differences))]
    return np.quantile(means, [0.025, 0.975])


def test_the_bootstrap_approaches_that_over_all_draws():
    a, b = np.array([1, 1, 1, 0, 1, 0]), np.array([0, 1, 0, 1, 0, 0])
    result = statistics.bootstrap_difference(a, b, seed=0)
    assert result == pytest.approx(exact_bootstrap(list(a - b)), abs=0.02)


def test_the_bootstrap_draws_an_image_with_all_of_its_repeats():
    answered = {"right_a": np.repeat([1, 0], [60, 40]), "right_b": np.repeat([1, 0, 1], [40, 40, 20])}
    once = statistics.bootstrap_difference(**answered, seed=3)
    thrice = {name: 3 * values for name, values in answered.items()}
    assert statistics.bootstrap_difference(**thrice, tested=np.full(100, 3), seed=3) == once


def test_in_the_bootstrap_an_image_counts_as_often_as_it_was_tested():
    tested = np.repeat([3, 1], 100)
    low, high = statistics.bootstrap_difference(np.repeat([3, 0], 100), np.zeros(200), tested=tested, seed=0)
    assert low < 3 / 4 < high
    assert low > 2 / 3


@pytest.mark.parametrize("units", [40, 1500])
def test_the_bootstrap_is_scipys(units):
    """Of 1,500 units not all draws are made at once."""
    drawn = np.random.default_rng(units)
    tested = drawn.integers(1, 4, units)
    a, b = (drawn.binomial(tested, share) for share in (0.8, 0.7))
    expected = stats.bootstrap(
        (a - b, tested),
        lambda gains, tests, axis: gains.sum(axis=axis) / tests.sum(axis=axis),
        paired=True,
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert statistics.bootstrap_difference(a, b, tested=tested, seed=5) == pytest.approx(expected, abs=1e-9)


def test_the_bootstrap_is_seeded():
    a, b = np.arange(30) % 2, np.arange(30) % 3 == 0
    assert statistics.bootstrap_difference(a, b, seed=1) == statistics.bootstrap_difference(a, b, seed=1)
    assert statistics.bootstrap_difference(a, b, seed=1, resamples=99) != statistics.bootstrap_difference(
        a, b, seed=2, resamples=99
    )


def test_holm_is_its_steps():
    p_values = [0.01, 0.04, 0.03, 0.5]
    steps, highest = {}, 0.0
    for rank, p in enumerate(sorted(p_values)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        steps[p] = highest
    assert statistics.holm(p_values) == pytest.approx([steps[p] for p in p_values])


def test_holm_is_statsmodels_also_of_equal_p_values():
    p_values = np.random.default_rng(0).random(60).round(2) ** 3
    assert statistics.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], rel=1e-12)


def test_holm_of_nothing_is_nothing():
    assert statistics.holm([]) == []


def test_a_smallest_detectable_difference_is_detected_in_eight_of_ten_experiments():
    rng = np.random.default_rng(0)
    smallest = power.smallest_detectable(less(ECSM, SE), train=1, test=0)
    sd = np.std(less(ECSM, SE), ddof=1)
    drawn = rng.normal(smallest, sd, size=(20_000, 5))
    p = stats.ttest_1samp(drawn, 0, axis=1).pvalue
    assert (p < 0.05).mean() == pytest.approx(0.8, abs=0.01)


def test_overlapping_splits_raise_the_smallest_detectable_difference_as_they_widen_the_interval():
    gained = less(ECSM, SE)
    plain, corrected = (power.smallest_detectable(gained, train=7, test=n) for n in (0, 3))
    assert corrected / plain == pytest.approx(math.sqrt(1 + 5 * 3 / 7))


def test_a_smallest_detectable_difference_on_one_part_is_detected_by_exact_mcnemar_in_eight_of_ten_parts():
    images, discordant = 300, 30
    smallest = power.smallest_detectable_on_one_part(discordant, images)
    share, rng = discordant / images, np.random.default_rng(0)
    a, b, _ = rng.multinomial(images, [(share + smallest) / 2, (share - smallest) / 2, 1 - share], size=4_000).T
    detected = [binomial_p(int(x), int(y)) <= 0.05 for x, y in zip(a, b, strict=True)]
    assert np.mean(detected) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("discordant", [0, 5])
def test_too_few_discordant_images_show_nothing(discordant):
    assert power.smallest_detectable_on_one_part(discordant, 686) is None


def test_an_interval_that_touches_zero_or_is_not_known_covers_it():
    assert Interval(0.0, 0.1).covers_zero()
    assert Interval(math.nan, math.nan).covers_zero()
    assert not Interval(-0.2, -0.1).covers_zero()
