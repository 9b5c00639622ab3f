"""How many repeats a difference takes, and how a verdict is read beside other tests."""

import itertools

import numpy as np
import pytest
import simulated
from scipy import stats

from pipeline.evaluation.compare import comparison, pairs, power, statistics
from pipeline.evaluation.compare.experiments import Experiment, Trial
from pipeline.evaluation.compare.mcnemar import McNemar
from pipeline.evaluation.compare.statistics import Interval
from pipeline.reporting import confidence_intervals

# A difference of five repeats, in points, whose standard deviation is about 1.4.
GAINS = [0.01, 0.03, 0.005, 0.04, 0.02]


def test_so_many_repeats_suffice_and_one_less_does_not():
    needed = power.repeats_for(0.02, lambda n: power.smallest_detectable(GAINS, train=1, test=0, repeats=n))
    enough, too_few = (power.smallest_detectable(GAINS, train=1, test=0, repeats=n) for n in (needed, needed - 1))
    assert enough <= 0.02 < too_few


def test_so_many_repeats_of_normal_differences_detect_it_in_eight_of_ten_experiments():
    """By simulation, with scipy's own t test."""
    from scipy import stats

    needed = power.repeats_for(0.02, lambda n: power.smallest_detectable(GAINS, train=1, test=0, repeats=n))
    drawn = np.random.default_rng(0).normal(0.02, np.std(GAINS, ddof=1), (20_000, needed))
    found = float((stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean())
    assert 0.79 < found < 0.88


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 30])
def test_the_smallest_differences_are_detected_at_the_level_that_is_asked(alpha):
    """By simulation, with scipy's own tests, of 200 images of which 40 are right for one of the two alone."""
    from scipy import stats

    rng = np.random.default_rng(0)
    gain = power.smallest_detectable(GAINS, train=1, test=0, alpha=alpha)
    drawn = rng.normal(gain, np.std(GAINS, ddof=1), (20_000, len(GAINS)))
    assert (stats.ttest_1samp(drawn, 0, axis=1).pvalue < alpha).mean() == pytest.approx(0.8, abs=0.02)
    gain = power.smallest_detectable_on_one_part(40, 200, alpha=alpha)
    discordant = rng.binomial(200, 0.2, 20_000)
    rarer = rng.binomial(discordant, (0.2 - gain) / 0.4)
    p = 2 * stats.binom.cdf(np.minimum(rarer, discordant - rarer), discordant, 0.5)
    assert (p < alpha).mean() == pytest.approx(0.8, abs=0.02)
    cells = rng.normal(size=(6, 40)) + 0.3 * rng.normal(size=(6, 1))
    usual, asked = (power.smallest_detectable_crossed(cells, alpha=level) for level in (0.05, alpha))
    assert asked == usual if alpha == 0.05 else asked > 1.2 * usual


def test_two_repeats_detect_a_large_difference_at_a_level_of_many_pairs():
    assert power.smallest_detectable([0.01, 0.03], train=1, test=0, alpha=0.05 / 132) > 10


@pytest.mark.parametrize("pairs_of", [1, 45, 4950, 499_500])
def test_two_repeats_and_thousands_of_pairs_have_the_value_of_the_closed_form(pairs_of):
    """With one degree of freedom the estimated error is |Z'|, and Z + d > c |Z'| a statement on two normal values."""
    alpha = 0.05 / pairs_of
    critical = 1 / np.tan(np.pi * alpha / 2)
    expected = np.sqrt(1 + critical**2) * stats.norm.isf(0.1) * np.std([0.01, 0.03], ddof=1) / np.sqrt(2)
    assert power.smallest_detectable([0.01, 0.03], train=1, test=0, alpha=alpha) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("repeats", [3, 4, 10, 101, 10**6])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 45])
def test_the_smallest_difference_is_that_of_the_noncentral_t(repeats, alpha):
    error = np.std(GAINS, ddof=1) / np.sqrt(repeats)
    smallest = power.smallest_detectable(GAINS, train=1, test=0, repeats=repeats, alpha=alpha) / error
    critical = stats.t.isf(alpha / 2, repeats - 1)
    assert stats.nct.sf(critical, repeats - 1, smallest) == pytest.approx(0.8, abs=1e-9)


def test_where_training_parts_overlap_no_number_of_repeats_may_suffice():
    far_apart = [10 * gain for gain in GAINS]
    assert power.repeats_for(0.02, lambda n: power.smallest_detectable(far_apart, train=7, test=3, repeats=n)) is None
    assert power.repeats_for(0.02, lambda n: power.smallest_detectable(far_apart, train=7, test=0, repeats=n)) > 100


def test_two_repeats_are_the_fewest_and_without_a_spread_nothing_is_known():
    assert power.repeats_for(0.5, lambda n: 0.1) == 2
    assert power.repeats_for(0.02, lambda n: None) is None


def table(right: float, *, repeats: int, images: int, seed: int) -> np.ndarray:
    """Each image is easier or harder for all networks, and each network guesses on its own."""
    random = np.random.default_rng(seed)
    easy = right + 0.2 * (random.random(images) - 0.5)
    return (random.random((repeats, images)) < easy).astype(float)


def test_more_repeats_on_the_same_images_show_less_down_to_what_the_images_leave():
    gains = table(0.9, repeats=4, images=200, seed=0) - table(0.85, repeats=4, images=200, seed=1)
    smallest = [power.smallest_detectable_crossed(gains, repeats=n) for n in (2, 4, 8, 32, 10_000)]
    assert smallest == sorted(smallest, reverse=True)
    assert smallest[1] == power.smallest_detectable_crossed(gains)
    assert smallest[-1] > 0.3 * smallest[-2] > 0


def test_of_repeats_that_are_equal_on_average_further_ones_detect_little_more_and_never_everything():
    """What one repeat gains the other loses: repeats' and images' means are equal, the residual is not 0."""
    gains = np.zeros((2, 18))
    gains[0, :2], gains[0, 2:4] = 1, -1
    gains[1] = -gains[0]
    smallest = [power.smallest_detectable_crossed(gains, repeats=n) for n in (2, 3, 8, 32)]
    assert smallest == sorted(smallest, reverse=True)
    # Of the residual alone, sd / sqrt(n m), times what a t test of 32 repeats needs.
    residual = gains - gains.mean(0)
    sd = np.sqrt((residual**2).sum() / 17)
    assert smallest[-1] == pytest.approx(2.9 * sd / np.sqrt(32 * 18), rel=0.05)
    assert power.repeats_for(0.02, lambda n: power.smallest_detectable_crossed(gains, repeats=n)) > 50


def test_as_many_repeats_as_three_project_detect_it_in_about_eight_of_ten_experiments():
    """Of noise alone on 342 images, whose repeats' variance three repeats tell badly, and its residual well."""
    variation, power_of = simulated.VARIATIONS["noise alone"], {}
    [right] = simulated.answers(variation, repeats=3, images=342, draws=80, gains=(0.02, 0.0))
    needed = [
        power.repeats_for(0.02, lambda n, gains=gains: power.smallest_detectable_crossed(gains, repeats=n))
        for gains in simulated.gains_of(right)
    ]
    for n in set(needed):
        power_of[n] = simulated.rejected(variation, min(n, 25), 342, draws=400, gain=0.02)
    projected = [power_of[n] for n in needed]
    assert 0.78 < np.mean(projected) < 0.93
    # Unlucky estimates too: it was 45 %.
    assert np.quantile(projected, 0.1) > 0.65


def experiments(*right: np.ndarray) -> list[Experiment]:
    """Experiments on the same images in every repeat."""
    return [
        Experiment(
            name, {n: Trial({str(i): bool(v) for i, v in enumerate(row)}, train=100) for n, row in enumerate(one)}
        )
        for name, one in zip("ab", right, strict=True)
    ]


def test_a_pair_says_how_many_repeats_two_points_take():
    right = table(0.9, repeats=4, images=200, seed=0), table(0.85, repeats=4, images=200, seed=1)
    [pair] = comparison.compare(experiments(*right)).pairs
    gains = right[0] - right[1]
    needed = power.repeats_for(0.02, lambda n: power.smallest_detectable_crossed(gains, repeats=n))
    assert pair.repeats_needed == needed


def test_a_single_repeat_says_no_number():
    right = table(0.9, repeats=1, images=200, seed=0), table(0.5, repeats=1, images=200, seed=1)
    [pair] = comparison.compare(experiments(*right)).pairs
    assert pair.repeats_needed is None


def test_what_is_detectable_among_many_pairs_is_so_after_holms_correction():
    """Of six methods of which one is better: at the level of a single pair a fifth of the verdicts would find it."""
    draws, repeats, methods = 1_000, 5, 6
    pairs_of = list(itertools.combinations(range(methods), 2))
    noise = np.random.default_rng(0).normal(size=(draws, methods, repeats))
    found = {}
    for alpha in (0.05, 0.05 / len(pairs_of)):
        # Of independent scores whose spread is 1, differences have that of a square root of 2.
        gain = power.smallest_detectable([-1.0, 1.0], train=1, test=0, repeats=repeats, alpha=alpha)
        scores = noise + gain * (np.arange(methods) == 0)[:, None]
        p = np.array([stats.ttest_rel(scores[:, a], scores[:, b], axis=1).pvalue for a, b in pairs_of]).T
        found[alpha] = np.mean([statistics.holm(one)[0] <= 0.05 for one in p])
    strict, single = found[0.05 / len(pairs_of)], found[0.05]
    assert strict >= 0.78
    assert single < 0.4


def test_more_pairs_need_a_larger_difference():
    one = table(0.9, repeats=4, images=200, seed=0)
    several = experiments(one, table(0.85, repeats=4, images=200, seed=1))
    third = several[0]._replace(name="c", trials=experiments(table(0.8, repeats=4, images=200, seed=2), one)[0].trials)
    gains = one - table(0.85, repeats=4, images=200, seed=1)
    alone, *_ = comparison.compare(several).pairs
    among, *_ = comparison.compare([*several, third]).pairs
    assert alone.smallest == power.smallest_detectable_crossed(gains)
    assert among.smallest == pytest.approx(power.smallest_detectable_crossed(gains, alpha=0.05 / 3))
    [same], _ = comparison.compare_some([*several, third], [("a", "b")])
    assert same.smallest == among.smallest
    assert among.smallest > alone.smallest


def test_a_pair_for_which_repeats_do_not_suffice_says_so():
    """The images of a fixed test part leave a difference that no number of repeats shows."""
    hard = table(0.9, repeats=4, images=60, seed=0), table(0.7, repeats=1, images=60, seed=1).repeat(4, axis=0)
    [pair] = comparison.compare(experiments(*hard)).pairs
    assert (pair.repeats_needed, pair.repeats_suffice) == (None, False)
    assert confidence_intervals.repeats_needed(pair) == "no number"
    assert confidence_intervals.repeats_needed(pair._replace(repeats_suffice=True)) == "over 1,000"


def test_where_no_difference_is_detectable_the_number_of_repeats_is_still_in_words(pair):
    none = pair._replace(smallest=None, repeats_needed=None, repeats_suffice=False)
    assert confidence_intervals.repeats_needed(none) == "no number"
    assert confidence_intervals.repeats_needed(none._replace(test=None)) == "–"


@pytest.fixture
def pair():
    """A pair whose verdict finds nothing, nor does any other test."""
    gains = table(0.9, repeats=3, images=60, seed=0), table(0.9, repeats=3, images=60, seed=1)
    [found] = comparison.compare(experiments(*gains)).pairs
    assert found.verdict == pairs.NO_DIFFERENCE
    return found._replace(mcnemar={n: McNemar(3, 4, 1.0) for n in (1, 2, 3)})


def test_where_all_tests_agree_nothing_is_to_be_read(pair):
    assert pairs.reading(pair) is None
    told = dict.fromkeys((1, 2, 3), McNemar(30, 2, 1e-6))
    assert pairs.reading(pair._replace(better="a", verdict="a is better", mcnemar=told)) is None


def test_where_single_networks_differ_and_the_methods_do_not_both_readings_are_given(pair):
    told = pair.mcnemar | {2: McNemar(30, 2, 1e-6)}
    line = pairs.reading(pair._replace(mcnemar=told))
    assert line.startswith("a - b: McNemar's test in 1 of 3 repeats finds a difference of these very networks")
    assert "to choose a method go by the verdict" in line
    both = pairs.reading(pair._replace(mcnemar=told, over_units=pair.over_units._replace(low=0.01, high=0.02)))
    assert "in 1 of 3 repeats and the interval over images find a difference" in both


def test_where_only_all_repeats_together_tell_it_that_is_said(pair):
    line = pairs.reading(pair._replace(better="a", verdict="a is better"))
    assert "no repeat's test images tell its two networks apart" in line
    assert line.endswith("together they are the evidence: go by the verdict.")


@pytest.mark.parametrize(
    ("p", "low", "line"),
    [
        (
            0.07,
            0.05,
            "the interval excludes 0, and the exchange test of groups finds no difference: so few ",
        ),
        (
            0.04,
            -0.05,
            "the exchange test of groups finds a difference, and the interval contains 0: so few ",
        ),
        (0.04, 0.05, None),
        (0.07, -0.05, None),
    ],
)
def test_an_interval_and_a_test_of_one_repeat_that_differ_are_named(pair, p, low, line):
    one = pair._replace(test=None, mcnemar={1: McNemar(13, 0, p, groups=9)}, over_units=Interval(low, 0.5))
    assert pairs.reading(one) == (
        line and f"a - b: {line}groups do not tell for certain, and the verdict asks for both."
    )


def test_another_score_has_no_such_tests_to_be_read(pair):
    assert pairs.reading(pair._replace(mcnemar={}, over_units=None)) is None


def test_what_one_test_part_detects_is_computed_once_for_all_pairs_of_as_many_discordant_images(monkeypatch):
    first = power.smallest_detectable_on_one_part(41, 201, alpha=0.04)
    monkeypatch.setattr(power, "_mcnemar_power", None)
    assert power.smallest_detectable_on_one_part(41, 201, alpha=0.04) == first
