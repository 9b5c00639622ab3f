"""All pairs at once, against each pair by itself."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from pipeline.core.errors import InputError
from pipeline.evaluation.compare import all_pairs, comparison, statistics
from pipeline.evaluation.compare.experiments import Experiment, Trial
from pipeline.evaluation.compare.mcnemar import p_values

COUNT, IMAGES = 12, 60


def experiments(repeats, *, fixed=True, tied=False):
    """Draw experiments whose accuracies are 30 to 96 %, on the same images in all repeats or on others in each."""
    rng = np.random.default_rng(0)
    images = rng.random(IMAGES)

    def trial(place, number):
        # Tied, images are equally easy for all seeds, and two experiments each are equal.
        drawn = images if tied else 0.5 * (images + rng.random(IMAGES))
        share = 0.3 + 0.06 * (place // 2 * 2 if tied else place)
        names = [f"{one if fixed else 100 * number + one:05}.png" for one in range(IMAGES)]
        scores = {"macro_f1": 0.5 if tied else share + rng.normal(0, 0.02)}
        return Trial(dict(zip(names, (drawn < share).tolist(), strict=True)), train=100 + place, scores=scores)

    return [Experiment(f"e{place}", {n: trial(place, n) for n in repeats(place)}) for place in range(COUNT)]


CASES = {
    "on one test part": experiments(lambda _: (1, 2, 3)),
    "of other repeats": experiments(lambda place: [(1, 2), (2, 3, 4), (1, 2, 3, 4, 5)][place % 3]),
    "a single repeat": experiments(lambda _: (1,)),
    "on splits of their own": experiments(lambda _: (1, 2, 3), fixed=False),
    "ties": experiments(lambda _: (1, 2, 3), tied=True),
}
WITHOUT_DIFFERENCE = [("ties", "macro_f1"), ("a single repeat", "macro_f1")]


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
@pytest.mark.parametrize("case", CASES)
def test_holms_p_of_all_pairs_is_that_of_the_pairs_one_by_one(case, metric):
    drawn = case == "on splits of their own"
    every = all_pairs.family(CASES[case], metric, drawn=drawn)
    one_by_one = comparison.compare(CASES[case], metric, resample=False).pairs
    assert every.pairs == len(one_by_one) == COUNT * (COUNT - 1) / 2
    # Without a p where a pair has one repeat of a score other than accuracy.
    of_each = np.array([pair.holm for pair in one_by_one], dtype=float)
    for turned in (False, True):
        names = [(pair.b, pair.a) if turned else (pair.a, pair.b) for pair in one_by_one]
        assert np.array([every.of(*each) for each in names], dtype=float) == pytest.approx(
            of_each, rel=1e-9, nan_ok=True
        )
    assert (case, metric) in WITHOUT_DIFFERENCE or (np.nanmin(of_each) < 0.05 and len(set(of_each)) > 10)


@pytest.mark.parametrize("case", CASES)
def test_some_pairs_of_many_are_as_they_are_among_all(case):
    among = {(pair.a, pair.b): pair for pair in comparison.compare(CASES[case], resample=False).pairs}
    wanted = [("e0", "e11"), ("e3", "e4"), ("e2", "e3"), ("e0", "e1")]
    some, every = comparison.compare_some(CASES[case], wanted)
    assert [(one.a, one.b) for one in some] == wanted
    for one in some:
        known = among[one.a, one.b]
        assert one._replace(holm=None) == known._replace(holm=None)
        assert one.holm == pytest.approx(known.holm, rel=1e-9)
    by_name = {one.name: one for one in CASES[case]}
    for (a, b), pair in among.items():
        for first, second in ((a, b), (b, a)):
            better = comparison.is_better(by_name[first], by_name[second], every)
            assert better == (pair.verdict == f"{first} is better"), pair.verdict


def test_many_tests_of_one_repeat_are_mcnemars():
    counts = [(a, b) for a in range(8) for b in range(8)]
    wanted = [mcnemar([[5, a], [b, 0]], exact=True).pvalue for a, b in counts]
    assert p_values(*zip(*counts, strict=True)) == pytest.approx(wanted)


def test_many_t_tests_are_scipys():
    values = np.random.default_rng(0).normal(0.5, size=(20, 4))
    p = statistics.t_p_values(values, train=1, test=0)
    assert p == pytest.approx(stats.ttest_1samp(values, 0, axis=-1).pvalue)
    assert statistics.t_p_values(np.full((2, 4), 0.1), train=1, test=0).tolist() == [1, 1]


def test_of_many_the_first_two_that_were_not_tested_alike_are_named():
    every = CASES["on one test part"]
    longer = every[7].trials[2].right | {"99999.png": True}
    other = every[7]._replace(trials=dict(every[7].trials) | {2: every[7].trials[2]._replace(right=longer)})
    with pytest.raises(InputError, match=r"^repeat 2: '99999.png' is tested by e7 and not by e0;"):
        comparison.check([*every[:7], other, *every[8:]])
    for a, b in combinations((*every[:7], *every[8:]), 2):
        comparison.check([a, b])
