import numpy as np
import pytest
from scipy import stats

from pipeline.core.errors import InputError
from pipeline.evaluation.compare import comparison, crossed, pairs, power, statistics
from pipeline.evaluation.compare.experiments import Experiment, Trial
from pipeline.evaluation.compare.mcnemar import McNemar, exact
from pipeline.reporting import confidence_intervals


def trial(right, *, first=0, train=100, **scores):
    return Trial({f"{first + n:04}.png": bool(value) for n, value in enumerate(right)}, train=train, scores=scores)


def drawn(share, *, images=60, seed=0):
    return np.random.default_rng(seed).random(images) < share


def experiment(name, share, *, repeats=(1, 2, 3), fixed=False, **others):
    """Build an experiment; its repeats test different images, or the same ones if `fixed`."""
    trials = {n: trial(drawn(share, seed=n), first=0 if fixed else 20 * n) for n in repeats}
    return Experiment(name, trials, **others)


@pytest.fixture
def pair():
    return [experiment("good", 0.9), experiment("poor", 0.5)]


def test_each_experiment_has_its_mean_spread_and_corrected_interval(pair):
    poor = comparison.compare(pair).summaries[1]
    values = [drawn(0.5, seed=n).mean() for n in (1, 2, 3)]
    assert (poor.name, poor.n) == ("poor", 3)
    assert (poor.mean, poor.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert poor.interval == statistics.interval(values, train=100, test=60)


def test_an_interval_holds_no_value_that_its_score_cannot_have():
    nll = [0.1, 0.2, 1.8]
    trials = {n: trial([n > 1], first=n, nll=nll[n - 1], calibration_error=(n - 1) / 2) for n in (1, 2, 3)}
    result = {
        name: comparison.summary(Experiment("", trials), name).interval for name in ("accuracy", *trials[1].scores)
    }
    high = statistics.interval(nll, train=100, test=1).high
    assert high > 1
    assert result == {"accuracy": (0, 1), "nll": (0, high), "calibration_error": (0, 1)}


def test_an_interval_of_differences_is_as_wide_as_it_is():
    good, poor = ({1: trial([right] * 4), 2: trial([right, right, right, 1])} for right in (1, 0))
    [result] = comparison.compare([Experiment("good", good), Experiment("poor", poor)]).pairs
    assert result.interval() == (result.test.low, result.test.high)
    assert result.interval().high > 1


def test_no_difference_of_more_than_100_points_is_called_detectable():
    def repeats(*right):
        # The second repeat has test images of its own.
        return {n: trial([1] * one + [0] * (30 - one), first=30 * n, train=70) for n, one in enumerate(right, 1)}

    one, other = Experiment("one", repeats(20, 30)), Experiment("other", repeats(30, 12))
    [result] = comparison.compare([one, other]).pairs
    differences = [-1 / 3, 0.6]
    assert power.smallest_detectable(differences, train=70, test=30) > 1
    assert result.smallest is None


def test_a_pair_is_tested_by_the_corrected_paired_t(pair):
    [result] = comparison.compare(pair).pairs
    differences = [drawn(0.9, seed=n).mean() - drawn(0.5, seed=n).mean() for n in (1, 2, 3)]
    assert result.test == statistics.corrected_t(differences, train=100, test=60)
    assert result.difference == pytest.approx(np.mean(differences))
    assert result.smallest == power.smallest_detectable(differences, train=100, test=60)


def table(share):
    """Whether each of three repeats gets each image right."""
    return np.array([drawn(share, seed=n) for n in (1, 2, 3)], dtype=float)


def test_where_the_test_part_is_the_same_in_all_repeats_seeds_and_images_are_tested_at_once():
    pair = [experiment("good", 0.9, fixed=True), experiment("poor", 0.5, fixed=True)]
    result = comparison.compare(pair)
    gains = table(0.9) - table(0.5)
    assert result.pairs[0].test == crossed.crossed_test(gains)
    assert result.pairs[0].smallest == power.smallest_detectable_crossed(gains)
    assert result.summaries[1].interval == crossed.crossed_interval(table(0.5))
    assert "tests are over seeds and test images at once" in result.over


def test_the_images_are_paired_by_their_paths_in_whatever_order_they_stand():
    a, b = (experiment(name, share, fixed=True) for name, share in (("a", 0.9), ("b", 0.5)))
    turned = b._replace(trials={n: t._replace(right=dict(reversed(t.right.items()))) for n, t in b.trials.items()})
    assert comparison.compare([a, turned]).pairs[0].test == comparison.compare([a, b]).pairs[0].test


def test_another_score_on_one_test_part_is_judged_on_these_very_images_and_says_so():
    levels = {"a": (0.9, 0.91, 0.92), "b": (0.1, 0.12, 0.11)}
    pair = [
        Experiment(name, {n: trial([1, 0], macro_f1=value) for n, value in enumerate(values, 1)})
        for name, values in levels.items()
    ]
    result = comparison.compare(pair, "macro_f1")
    assert result.pairs[0].p == pytest.approx(stats.ttest_rel(*levels.values()).pvalue)
    assert result.pairs[0].verdict == "a is better on these test images"
    assert result.over.endswith("t tests are over seeds, on these very images.")


def test_training_images_that_each_repeat_draws_anew_are_told():
    pair = [experiment(name, 0.5, fixed=True, redraws=True) for name in ("a", "b")]
    told = comparison.compare(pair).over
    assert told.startswith("All repeats have the same test images, and each draws its own training images: ")
    assert "over draws of training images, seeds and test images at once" in told


@pytest.mark.parametrize("images", [2, 3])
def test_a_few_images_that_all_seeds_tell_alike_are_no_evidence(images):
    """Seeds alone would say p = .0004 where one seed's answer differs at a third image; McNemar's p is .25 or more."""
    right = [[n >= images for n in range(60)] for _ in range(3)]
    right[0][images] = False
    poor = Experiment("poor", {repeat: trial(row) for repeat, row in enumerate(right, 1)})
    good = Experiment("good", {repeat: trial([1] * 60) for repeat in (1, 2, 3)})
    [result] = comparison.compare([good, poor]).pairs
    assert statistics.corrected_t([1 - np.mean(row) for row in right], train=1, test=0).p < 0.03
    assert result.verdict == "no detectable difference"
    assert result.p > 0.05


def test_where_splits_are_drawn_the_text_says_so(pair):
    assert "over splits and seeds" in comparison.compare(pair).over


def test_each_split_has_its_mcnemar(pair):
    [result] = comparison.compare(pair).pairs
    a, b = (drawn(share, seed=2) for share in (0.9, 0.5))
    assert result.mcnemar[2] == exact(a, b)
    assert list(result.mcnemar) == [1, 2, 3]


def test_the_bootstrap_draws_each_image_with_all_repeats_that_test_it():
    a, b = (experiment(name, share, fixed=True, repeats=(1, 2)) for name, share in (("a", 0.8), ("b", 0.6)))
    [result] = comparison.compare([a, b]).pairs
    right_a, right_b = (sum(drawn(share, seed=n).astype(float) for n in (1, 2)) for share in (0.8, 0.6))
    expected = statistics.bootstrap_difference(right_a, right_b, tested=np.full(60, 2), seed=pairs.SEED)
    assert result.over_units == expected


def test_the_bootstrap_draws_once_for_an_experiment_and_not_for_each_of_its_pairs(monkeypatch):
    made = [experiment(f"{share}", share, fixed=True, repeats=(1, 2)) for share in (0.5, 0.6, 0.7, 0.8, 0.9)]
    draws, generator = [], np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: draws.append(seed) or generator(seed))
    statistics._resampled.cache_clear()
    assert all(one.over_units for one in comparison.compare(made).pairs)
    # Each experiment's right predictions, and how often each image is tested.
    assert len(draws) == 5 + 1


def test_the_bootstrap_may_be_left_out_where_repeats_decide():
    a, b = (experiment(name, share, fixed=True) for name, share in (("a", 0.8), ("b", 0.6)))
    assert comparison.compare([a, b], resample=False).pairs[0].over_units is None
    one = [each._replace(trials={1: each.trials[1]}) for each in (a, b)]
    assert comparison.compare(one, resample=False).pairs[0].over_units is not None


def test_a_single_repeat_is_judged_by_its_images_alone():
    a = Experiment("a", {1: trial([1] * 20 + [0] * 5)})
    b = Experiment("b", {1: trial([0] * 15 + [1] * 5 + [0] * 5)})
    result = comparison.compare([a, b])
    [compared] = result.pairs
    assert compared.test is None
    assert compared.mcnemar == {1: McNemar(15, 0, compared.p)}
    assert compared.verdict == "a's network is better; other seeds are not tried"
    assert result.summaries[0].interval == statistics.wilson(20, 25)
    assert compared.smallest == power.smallest_detectable_on_one_part(15, 25)


def test_an_interval_over_zero_is_no_detectable_difference():
    a, b = experiment("a", 0.7), experiment("b", 0.7, repeats=(1, 2, 3))
    trials = {n: trial(drawn(0.7, seed=n + 10), first=20 * n) for n in b.trials}
    [result] = comparison.compare([a, b._replace(trials=trials)]).pairs
    assert result.interval().covers_zero()
    assert result.verdict == "no detectable difference"


def test_equal_experiments_do_not_differ(pair):
    [result] = comparison.compare([pair[0], pair[0]._replace(name="again")]).pairs
    assert (result.difference, result.p, result.verdict) == (0, 1, "no detectable difference")


@pytest.mark.parametrize("fixed", [False, True])
def test_a_difference_that_is_equal_in_every_repeat_has_no_test_and_counts_in_holms(fixed):
    """Of new splits, and of the same test images, all of which one experiment gets right and the other none."""
    poor, good = (0, 18) if fixed else (9, 14)
    a, b, c = (
        Experiment(
            name,
            {
                n: trial([1] * (right - n * less) + [0] * (18 - right + n * less), first=0 if fixed else 20 * n)
                for n in (0, 1)
            },
        )
        for name, right, less in (("a", good, 0), ("b", poor, 0), ("c", 16, 1))
    )
    result = comparison.compare([a, b, c])
    equal = result.pairs[0]
    assert (equal.untested, equal.better) == (True, None)
    assert equal.verdict == "the same difference in every repeat, so no spread to test with; add repeats"
    assert confidence_intervals.p_values(equal) == ("–", "–")
    assert confidence_intervals.repeats_needed(equal) == "–"
    assert confidence_intervals.smallest_detectable(equal, str) == "–"
    assert [one.holm for one in result.pairs] == statistics.holm([1.0, *(one.p for one in result.pairs[1:])])
    assert not result.pairs[1].untested


def test_a_difference_between_two_may_not_be_one_among_many():
    three = [Trial({f"{n:02}": n >= wrong for n in range(40)}, train=90) for wrong in (0, 0, 6)]
    alone = comparison.compare([Experiment(name, {1: one}) for name, one in zip("ac", three[::2], strict=True)])
    among = comparison.compare([Experiment(name, {1: one}) for name, one in zip("abc", three, strict=True)])
    assert alone.pairs[0].verdict.startswith("a's network is better")
    assert [pair.holm for pair in among.pairs] == statistics.holm([pair.p for pair in among.pairs])
    assert among.pairs[1].verdict == "no detectable difference among 3 pairs"


def test_repeats_that_only_one_has_are_left_out_of_the_pair(pair):
    longer = experiment("longer", 0.6, repeats=(2, 3, 4))
    assert comparison.compare([pair[0], longer]).pairs[0].repeats == (2, 3)


def test_the_repeats_of_a_difference_are_named_where_they_are_not_those_of_the_means(pair):
    sentence = " Where repeats differ, differences are over those that both have"
    one, longer = experiment("one", 0.6, repeats=(1,)), experiment("longer", 0.6, repeats=(1, 2, 3, 4))
    assert comparison.compare([one, pair[0]]).over.endswith(f"{sentence}: 1.")
    assert comparison.compare([one, *pair, longer]).over.endswith(f"{sentence}.")
    assert sentence not in comparison.compare(pair).over


def test_experiments_without_a_common_repeat_are_refused(pair):
    with pytest.raises(InputError, match=r"^good and other: have no repeat in common \(1, 2, 3; 4, 5\); give both"):
        comparison.compare([pair[0], experiment("other", 0.5, repeats=(4, 5))])


@pytest.mark.parametrize(
    ("images", "first", "message"),
    [
        (60, 41, r"^repeat 2: '0040.png' is tested by good and not by poor; only what is"),
        (61, 40, r"^repeat 2: '0100.png' is tested by poor and not by good; only what is"),
    ],
)
def test_the_first_image_that_only_one_tests_is_named(pair, images, first, message):
    trials = dict(pair[1].trials) | {2: trial(drawn(0.5, images=images), first=first)}
    with pytest.raises(InputError, match=message):
        comparison.compare([pair[0], pair[1]._replace(trials=trials)])


def test_an_image_that_is_another_in_one_of_them_is_named(pair):
    images = {f"{n:04}.png": "spider" for n in range(200)}
    one, other = pair[0]._replace(images=images), pair[1]._replace(images=images | {"0025.png": "fly"})
    with pytest.raises(InputError, match=r"^repeat 1: '0025.png' is another image, or of another class, in good than"):
        comparison.compare([one, other])


def test_another_score_is_compared_over_repeats_alone(pair):
    scored = [
        one._replace(trials={n: t._replace(scores={"nll": level + n / 10}) for n, t in one.trials.items()})
        for one, level in zip(pair, (0.5, 1.5), strict=True)
    ]
    [result] = comparison.compare(scored, "nll").pairs
    assert (result.difference, result.mcnemar, result.over_units) == (pytest.approx(-1), {}, None)


@pytest.mark.parametrize(("metric", "better"), [("macro_f1", "b"), ("nll", "a")])
def test_of_a_loss_the_smaller_is_better(metric, better):
    def scored(name, *values):
        return Experiment(name, {n: trial([1, 0], **{metric: value}) for n, value in enumerate(values, 1)})

    [result] = comparison.compare([scored("a", 0.1, 0.2, 0.31), scored("b", 0.8, 0.9, 1.0)], metric).pairs
    assert result.verdict == f"{better} is better on these test images"


def test_a_single_repeat_of_another_score_has_no_verdict():
    a, b = (Experiment(name, {1: trial([1, 0], macro_f1=value)}) for name, value in (("a", 0.1), ("b", 0.9)))
    [result] = comparison.compare([a, b], "macro_f1").pairs
    assert (result.p, result.holm, result.smallest, result.verdict) == (None, None, None, "one repeat does not tell")


def test_an_unknown_score_raises_with_the_known_ones(pair):
    with pytest.raises(InputError, match=r"^good: repeat 1 has no score 'f2'; it has accuracy$"):
        comparison.compare(pair, "f2")
    # As read from metrics/, where the accuracy is among the scores.
    scored = Experiment("read", {1: trial([1, 0], accuracy=0.5, nll=0.3)})
    with pytest.raises(InputError, match=r"it has accuracy, nll$"):
        comparison.check([scored], "f2")


def test_settings_that_differ_are_listed_with_none_for_a_missing_one():
    a = Experiment("a", {1: trial([1, 0])}, settings={"lr": 0.1, "head": "linear"})
    b = Experiment("b", {1: trial([1, 0])}, settings={"lr": 0.1, "at": [1]})
    assert comparison.compare([a, b]).differing == {"head": ["linear", None], "at": [None, [1]]}
