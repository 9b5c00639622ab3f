"""Named groups of test images count as a whole: by formulas written out, and by simulation."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
from scipy import stats

from pipeline.advice import recommendation
from pipeline.evaluation.compare import all_pairs, comparison, over_units, pairs, statistics, units
from pipeline.evaluation.compare.crossed import crossed
from pipeline.evaluation.compare.experiments import ACCURACY, Experiment, Trial, answers
from pipeline.evaluation.compare.mcnemar import exact

GROUPS, SIZE, REPEATS = 20, 8, 4


def _trial(right, groups=None):
    names = [f"{n:03}" for n in range(len(right))]
    grouped = {} if groups is None else dict(zip(names, map(str, groups), strict=True))
    return Trial(dict(zip(names, map(bool, right), strict=True)), train=100, groups=grouped)


def _experiment(name, tables, groups=None):
    return Experiment(name, {n: _trial(right, groups) for n, right in enumerate(tables, 1)})


def _clustered(rng, *, share=0.8, repeats=REPEATS):
    """Return (repeats, images) right answers, where all images of a group are as hard as each other."""
    hardness = np.repeat(rng.normal(size=GROUPS), SIZE)
    threshold = np.quantile(rng.normal(size=100_000) * math.sqrt(1.25), share)
    return hardness + rng.normal(size=(repeats, GROUPS * SIZE)) * 0.5 < threshold


UNIT = np.repeat(np.arange(GROUPS), SIZE)


def test_where_each_image_is_a_unit_the_table_is_itself():
    table = np.random.default_rng(0).random((3, 9))
    assert units.by_unit(table, np.arange(9)) == pytest.approx(table)


def test_means_stay_and_the_variance_is_that_of_a_ratio_over_clusters():
    rng = np.random.default_rng(1)
    unit = np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 3])
    row = rng.random(10)
    cells = units.by_unit(row[None], unit)[0]
    assert cells.mean() == pytest.approx(row.mean())
    # Cochran's eq. 6.13 for a ratio of the clusters' totals to their sizes, without the finite population.
    totals = [row[unit == g].sum() - row.mean() * (unit == g).sum() for g in range(4)]
    variance = math.fsum(one**2 for one in totals) / (4 - 1) * 4 / 10**2
    assert cells.var(ddof=1) / 4 == pytest.approx(variance)


def test_an_interval_over_images_covers_too_seldom_and_over_groups_as_often_as_it_says():
    covered = {"images": 0, "groups": 0}
    draws, truth = 400, 0.8
    for seed in range(draws):
        table = _clustered(np.random.default_rng(seed), share=truth)
        for kind, groups in (("images", None), ("groups", UNIT)):
            ends = comparison.summary(_experiment("a", table, groups)).interval
            covered[kind] += ends.low <= truth <= ends.high
    assert covered["images"] / draws < 0.75
    assert covered["groups"] / draws > 0.93


def test_a_test_over_images_errs_too_often_and_over_groups_as_seldom_as_it_says():
    wrong = {"images": 0, "groups": 0}
    draws = 400
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        of_a, of_b = (_clustered(rng) for _ in range(2))
        for kind, groups in (("images", None), ("groups", UNIT)):
            one, other = (answers(list(_experiment("a", table, groups).trials.values())) for table in (of_a, of_b))
            parts = crossed(one - other)
            wrong[kind] += abs(parts.mean) > parts.half_width()
    assert wrong["images"] / draws > 0.2
    assert wrong["groups"] / draws < 0.07


@pytest.mark.parametrize("sizes", [(60, *[5] * 19), (40, 40, *[3] * 20), (100, *[1] * 60)])
def test_a_test_over_groups_of_different_sizes_errs_as_seldom_as_it_says(sizes):
    unit = np.repeat(np.arange(len(sizes)), sizes)
    wrong, draws = 0, 400
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        # Each method has its own hard groups, so that nothing but groups differs.
        gains = np.repeat(rng.normal(size=len(sizes)), sizes) + 0.3 * rng.normal(size=(REPEATS, len(unit)))
        parts = crossed(units.by_unit(gains, unit), effective=units.effective_groups(unit))
        wrong += abs(parts.mean) > parts.half_width()
    assert wrong / draws < 0.075


# Many equal groups, few, unequal ones, and one that has half of all images.
SIZES = {
    "3": [8] * 3,
    "5": [8] * 5,
    "8": [8] * 8,
    "20": [8] * 20,
    "50": [4] * 50,
    "200": [2] * 200,
    "5, unequal": [2, 5, 9, 12, 16],
    "20, unequal": [*range(2, 22)],
    "8, one of half": [56, *[8] * 7],
    "50, one of half": [147, *[3] * 49],
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_the_interval_of_a_difference_covers_as_often_as_it_says_with_any_number_of_groups(sizes, monkeypatch):
    """The bootstrap alone covers in less than 91 % of cases with five groups or fewer."""
    # For speed, without SciPy: draws of 599, where 9,999 are taken.
    draws, unit, rng = 400, np.repeat(np.arange(len(sizes)), sizes), np.random.default_rng(0)
    ends = {"units": 0, "bootstrap": 0}
    for seed in range(draws):
        # Of equal methods, whose groups are as hard as each other's images by a third.
        hard = np.sqrt(0.3) * rng.normal(size=(2, len(sizes)))[:, unit] + np.sqrt(0.7) * rng.normal(size=(2, len(unit)))
        a, b = units.sums((hard < 1).astype(float), unit)
        resampled = partial(statistics.bootstrap_difference, resamples=599)
        ends["bootstrap"] += _holds_0(resampled(a, b, tested=np.bincount(unit), seed=seed))
        with monkeypatch.context() as patched:
            patched.setattr(statistics, "bootstrap_difference", resampled)
            ends["units"] += _holds_0(over_units.difference(a, b, tested=np.bincount(unit), seed=seed))
    assert ends["units"] / draws > 0.92
    if len(sizes) <= 5:
        assert ends["bootstrap"] / draws < 0.91


def _holds_0(interval):
    return interval.low <= 1e-12 and interval.high >= -1e-12


def test_images_at_the_usual_sizes_have_the_bootstraps_interval_and_one_or_two_groups_none():
    a, b = (np.random.default_rng(0).random((2, 40)) < 0.8).astype(float)
    every = np.ones(40)
    assert over_units.difference(a, b, tested=every, seed=0) == statistics.bootstrap_difference(a, b, seed=0)
    assert over_units.difference(a[:39], b[:39], tested=every[:39], seed=0) == pytest.approx(
        stats.ttest_1samp((a - b)[:39], 0).confidence_interval()
    )
    assert over_units.difference(a[:3], b[:3], tested=every[:3], seed=0) is not None
    for number in (1, 2):
        assert over_units.difference(a[:number], b[:number], tested=every[:number], seed=0) is None


@pytest.mark.parametrize(
    ("groups", "verdict"), [([0] * 6, "one group does not tell"), ([0, 1] * 3, "two groups do not tell")]
)
def test_one_or_two_groups_of_a_single_repeat_do_not_tell(groups, verdict):
    one, other = _experiment("a", [[1] * 6], groups), _experiment("b", [[0] * 6], groups)
    [pair] = comparison.compare([one, other]).pairs
    assert (pair.interval(), pair.verdict) == (None, verdict)


def test_groups_that_were_named_between_two_experiments_count_in_both():
    rng = np.random.default_rng(3)
    with_groups, without = _experiment("a", _clustered(rng), UNIT), _experiment("b", _clustered(rng))
    both = _experiment("b", [list(trial.right.values()) for trial in without.trials.values()], UNIT)
    expected = comparison.compare([with_groups, both]).pairs[0]
    for several in ([with_groups, without], [without, with_groups]):
        [pair] = comparison.compare(several).pairs
        assert pair.p == pytest.approx(expected.p)
        assert abs(pair.difference) == pytest.approx(abs(expected.difference))


def test_gains_and_losses_of_a_group_that_are_equal_are_no_win():
    first, second = np.zeros((2, 10, 3), dtype=bool)
    for place, wins in enumerate((1, 2)):
        first[:wins, place] = True
    second[:3, 2] = True
    groups = [0, 0, 0]
    gains = recommendation.image_gains(_experiment("a", first, groups), _experiment("b", second, groups))
    assert gains.tolist() == [0]


def test_the_exchange_of_groups_is_that_of_all_signs_written_out():
    gains = [2, -1, 0, 3, -2]
    signed = [sum(s * g for s, g in zip(signs, gains, strict=True)) for signs in itertools.product((1, -1), repeat=5)]
    assert units.exchange_p(gains) == pytest.approx(np.mean([abs(one) >= abs(sum(gains)) for one in signed]))


@pytest.mark.parametrize("seed", range(10))
def test_mcnemar_of_groups_of_one_image_is_mcnemar(seed):
    a, b = np.random.default_rng(seed).random((2, 30)) < 0.7
    alone, grouped = exact(a, b), exact(a, b, np.arange(30))
    assert grouped[:2] == alone[:2]
    assert grouped.p == pytest.approx(alone.p)


def test_one_repeat_is_compared_by_groups():
    right = np.ones(GROUPS * SIZE, dtype=bool)
    wrong = right.copy()
    wrong[: 2 * SIZE] = False
    plain = pairs.pair(_experiment("a", [right]), _experiment("b", [wrong]), ACCURACY, drawn=False, resample=True)
    grouped = pairs.pair(
        _experiment("a", [right], UNIT), _experiment("b", [wrong], UNIT), ACCURACY, drawn=False, resample=True
    )
    # All images of two groups are as much evidence as two images.
    assert plain.p < 0.001
    assert grouped.p == 0.5
    assert plain.over_units.low > 0 >= grouped.over_units.low
    ends = [comparison.summary(_experiment("b", [wrong], groups)).interval for groups in (None, UNIT)]
    assert ends[1].low < ends[0].low < 0.9 < ends[0].high < ends[1].high


@pytest.mark.parametrize("repeats", [1, 3])
def test_all_pairs_at_once_have_the_p_of_each(repeats):
    rng = np.random.default_rng(5)
    several = [_experiment(name, _clustered(rng, share=0.7, repeats=repeats), UNIT) for name in "abc"]
    every = all_pairs.family(several, ACCURACY, drawn=False)
    listed = [pairs.pair(a, b, ACCURACY, drawn=False, resample=False).p for a, b in itertools.combinations(several, 2)]
    expected = statistics.holm(listed)
    assert [every.of(a, b) for a, b in itertools.combinations("abc", 2)] == pytest.approx(expected)


def test_variances_of_groups_are_those_of_their_own_table():
    table = _clustered(np.random.default_rng(2)).astype(float)
    parts = crossed(answers(list(_experiment("a", table, UNIT).trials.values())))
    assert parts.m == GROUPS
    assert parts.mean == pytest.approx(table.mean())
    assert parts.of_images > 3 * crossed(table).of_images


@pytest.mark.parametrize("groups", [None, UNIT], ids=["images", "groups"])
def test_a_comparison_says_how_groups_count(groups):
    table = _clustered(np.random.default_rng(2))
    result = comparison.compare([_experiment(name, table, groups) for name in "ab"])
    assert result.over.endswith(comparison.GROUPED) == (groups is not None)


def test_the_advice_counts_a_group_once():
    right = np.ones(GROUPS * SIZE, dtype=bool)
    wrong = right.copy()
    wrong[:SIZE] = False
    p = {}
    for kind, groups in (("images", None), ("groups", UNIT)):
        a, b = _experiment("a", [right], groups), _experiment("b", [wrong], groups)
        [pair] = recommendation.recommend([a, b], {"a": 1.0, "b": 2.0}).compared.pairs
        p[kind] = pair.p
    assert p["images"] < 0.01
    assert p["groups"] == 1
