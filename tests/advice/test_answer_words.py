"""What an advice says of ties, of p, of more images and of speeds."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import written_results
from scipy import stats

from pipeline.advice import answer as words
from pipeline.advice import curve_words, plain, separating, tested_words
from pipeline.advice.answer import Answer, Trial
from pipeline.advice.learning_curve import Gain, Point
from pipeline.advice.recommendation import recommend
from pipeline.advice.separating import images_to_separate
from pipeline.evaluation.compare import comparison, power
from pipeline.evaluation.compare import experiments as compared
from pipeline.evaluation.compare.experiments import Experiment, Pair
from pipeline.evaluation.compare.statistics import Interval
from pipeline.reporting.signs import DASH

IMAGES = 100


def experiment(name: str, *repeats: Sequence[bool] | range) -> Experiment:
    """A candidate that is right on these of the images of each repeat, which are others in each."""
    trials = {
        number: compared.Trial({f"{number}/{image}": image in right for image in range(IMAGES)}, train=200)
        for number, right in enumerate(repeats, start=1)
    }
    return Experiment(name, trials)


def answer(*candidates: Experiment, gain: Gain | None = None, speed: float = 100.0, freeze: str | int = "3b") -> Answer:
    """An answer of candidates that cost the more, the later they stand."""
    costs = {one.name: float(cost) for cost, one in enumerate(candidates)}
    advice = recommend(candidates, costs)
    trials: dict[str, Trial] = {}
    for one in candidates:
        record = SimpleNamespace(recipe=SimpleNamespace(network=SimpleNamespace(freeze=freeze)))
        runs = [SimpleNamespace(runtime=SimpleNamespace(images_per_second=speed), record=record)]
        seconds = SimpleNamespace(mean=3.0)
        result: Any = SimpleNamespace(experiment=one, repeats=runs, seconds=lambda one=seconds: one)
        trials[one.name] = Trial(result, len(one.trials))
    rounds, unused = max(len(one.trials) for one in candidates), None
    commands = {"command": "dvc exp run", "best_command": "dvc exp run -S freeze=2", "meaning": "the head trains"}
    return Answer(advice, trials, rounds, unused, gain, {}, IMAGES, costs=costs, **commands)


def pair_of(a: Experiment, b: Experiment) -> Pair:
    [pair] = comparison.compare([a, b], resample=False).pairs
    return pair


def test_a_tie_by_the_correction_alone_says_that_the_pair_alone_would_be_apart() -> None:
    """Of 14 images that one of the two has right, the best has 12: p = 0.013, of six pairs 0.078."""
    best, other = experiment("best", range(90)), experiment("other", [*range(12, 90), 90, 91])
    alike = [experiment(name, range(1, end)) for name, end in (("one", 90), ("two", 89))]
    [line] = [one for one in separating.lines(answer(best, other, *alike)) if "other" in one]
    start, _, number = line.partition("; about ")
    assert start == "best and other: 10.0 points apart here, enough for this pair alone and not among 6 pairs"
    assert number.endswith(" labeled images would tell the two apart")


def test_a_tie_without_a_difference_has_no_number() -> None:
    [line] = separating.lines(answer(experiment("a", range(90)), experiment("b", range(90))))
    assert line == "a and b: 0.0 points apart here; not even 64 times as many images are known to tell the two apart"


@pytest.mark.parametrize("pairs", [1, 15])
def test_so_many_images_as_are_said_do_separate_two_candidates_of_one_repeat_among_all_pairs(pairs: int) -> None:
    """By simulation of McNemar's test, of whose images 9 and 4 in a hundred are right for one of the two alone."""
    a, b = experiment("a", range(90)), experiment("b", range(9, 94))
    needed = images_to_separate(a, b, pair_of(a, b), images=IMAGES, pairs=pairs)
    assert needed is not None
    assert needed > IMAGES
    rng = np.random.default_rng(0)
    discordant = rng.binomial(needed, 0.13, 20_000)
    rarer = rng.binomial(discordant, 4 / 13)
    p = np.minimum(1, 2 * stats.binom.cdf(np.minimum(rarer, discordant - rarer), discordant, 0.5))
    found = float((p * pairs < 0.05).mean())
    assert 0.77 < found < 0.86


def test_of_several_repeats_the_test_over_them_says_how_many() -> None:
    """Differences of one and three points in eight repeats, of images of which nearly all are right for one alone."""
    gains = [1, 3] * 4
    a, b = experiment("a", *[range(50)] * 8), experiment("b", *(range(50, 100 - gain) for gain in gains))
    smallest = power.smallest_detectable([gain / 100 for gain in gains], train=200, test=IMAGES, alpha=0.05 / 15)
    assert smallest is not None
    needed = images_to_separate(a, b, pair_of(a, b), images=IMAGES, pairs=15)
    assert needed == pytest.approx(IMAGES * (smallest / 0.02) ** 2, rel=0.05)


def test_what_is_told_apart_needs_no_more_images() -> None:
    a, b = experiment("a", range(95), range(90)), experiment("b", range(31), range(27))
    assert images_to_separate(a, b, pair_of(a, b), images=300, pairs=1) is None


def on_test(mean: float = 0.9, interval: Interval | None = None) -> Any:
    """A test of 12 images, 4 of each of three classes."""
    scores = written_results.scores_of(((4, 0, 0), (4, 0, 0), (0, 0, 4)), ("a", "b", "c"))
    return SimpleNamespace(
        summary=SimpleNamespace(mean=mean, interval=interval), repeats=[SimpleNamespace(scores=scores)]
    )


@pytest.mark.parametrize(
    ("mean", "interval", "brackets", "better"),
    [
        (0.37, Interval(0.3, 0.45), "95 % interval 30.0 to 45.0; always the most frequent class: 33.3 %", False),
        (0.47, Interval(0.4, 0.55), "95 % interval 40.0 to 55.0; always the most frequent class: 33.3 %", True),
        (0.2, Interval(0.1, 0.3), "95 % interval 10.0 to 30.0; always the most frequent class: 33.3 %", False),
        (0.3, None, "always the most frequent class: 33.3 %", False),
        (0.9, None, "always the most frequent class: 33.3 %", True),
    ],
)
def test_an_accuracy_stands_beside_that_of_the_most_frequent_class(
    mean: float, interval: Interval | None, brackets: str, better: bool
) -> None:
    said = words.sentence(answer(experiment("a", range(90)))._replace(tested=on_test(mean, interval)))
    assert said.startswith(f"Use a: expect {100 * mean:.1f} % of new images to be right ({brackets}). ")
    doubt = ". The test does not show that it is better than always naming the most frequent class. It is"
    assert (doubt in said) != better


def test_the_difference_from_the_inner_divisions_is_that_of_the_printed_numbers() -> None:
    """By 18.52 points, as 55.56 and 37.04 % are printed as 55.6 and 37.0."""
    one = experiment("a", range(56))
    both = answer(one)._replace(tested=on_test(0.3704))
    inner = both.advice.compared.summaries[0]._replace(mean=0.5556)
    compared_at = both.advice.compared._replace(summaries=[inner])
    said = tested_words.optimism(both._replace(advice=both.advice._replace(compared=compared_at)))
    assert "where it had 55.6 %; on the test part it has 37.0 %, a difference of -18.6 points." in said


def why(*candidates: Experiment) -> str:
    """Why one of these is recommended, the first of which is the cheapest."""
    return (
        words.sentence(answer(*candidates)._replace(tested=on_test())).partition(". It is ")[2].partition(". With")[0]
    )


def test_one_within_a_standard_error_is_not_counted_again_among_the_ties() -> None:
    close = experiment("cheap", range(1, 90)), experiment("second", range(1, 90)), experiment("best", range(90))
    assert why(*close) == "the cheapest of 3 within one standard error of the best, best"
    tied = experiment("dear", range(5, 90))
    assert why(*close, tied).endswith("error of the best, best; one other cannot be told from that either")
    assert why(experiment("best", range(90)), *close[:2]) == (
        "the best of those that were tried, though 2 others cannot be told from it"
    )


def test_one_of_several_with_the_highest_accuracy_is_the_cheapest_of_them() -> None:
    equal = experiment("cheap", range(90)), experiment("dear", range(90))
    assert why(*equal) == "the cheapest of 2 with the highest accuracy"
    assert why(*equal, experiment("tied", range(1, 90))).endswith("accuracy, though one other cannot be told from it")


def test_what_was_dropped_after_too_few_repeats_is_no_tie_of_the_best() -> None:
    finalists = experiment("best", *[range(90)] * 4), experiment("second", *[range(5, 90)] * 4)
    dropped = experiment("bad", range(30), range(35)), experiment("worse", range(88))
    assert why(*finalists, *dropped) == (
        "the best of those that were tried, though one other cannot be told from it; 2 others were dropped after "
        "too few repeats to tell"
    )
    every = answer(*finalists, *dropped)
    assert words.fate(every, "bad") == "dropped after 2 repeats, too few to tell"
    assert words.fate(every, "worse") == "dropped after 1 repeat, too few to tell"
    assert [line.partition(" ")[0] for line in separating.lines(every)] == ["best", "Those"]


def test_a_number_is_said_to_be_a_strategy() -> None:
    two, best = experiment("2", range(1, 90)), experiment("3b", range(90))
    both = answer(two, best)._replace(tested=on_test())
    assert words.sentence(both).startswith("Use strategy 2: expect 90.0 % of new images to be right (")
    assert words.sentence(both).endswith("With strategy 2, the head trains.")
    assert words.alternative(both).startswith("Where its cost does not matter, strategy 3b is the better bet")
    assert separating.lines(both)[0].startswith("strategy 3b and strategy 2: 1.0 points apart")


def test_groups_are_said_to_count_in_the_number_of_images() -> None:
    groups = {f"1/{image}": str(image // 4) for image in range(IMAGES)}
    ungrouped = experiment("a", range(90)), experiment("b", range(9, 94))
    a, b = (one._replace(trials={1: one.trials[1]._replace(groups=groups)}) for one in ungrouped)
    assert ", in groups as large as now, would tell the two apart" in separating.lines(answer(a, b))[0]


def test_p_is_named_by_the_tests_that_it_is_of() -> None:
    said = words.tests(answer(experiment("a", range(90), range(80)), experiment("b", range(50), range(40))))
    assert said.startswith("Every repeat draws a new split: ")
    assert said.endswith(
        "p is that of the test over the repeats of both, as `orbweaver compare` has it; of a single repeat McNemar's, "
        "or that of exchanged groups, about these networks alone: other seeds are not tried. It has Holm's correction "
        "for all pairs."
    )


def test_a_verdict_of_one_repeat_is_about_these_networks_alone() -> None:
    once = answer(experiment("best", range(90)), experiment("bad", range(50)))
    assert words.fate(once, "bad") == "its network is worse than the best's; other seeds are not tried"
    assert why(experiment("best", range(90)), experiment("bad", range(50))).endswith("; other seeds are not tried")
    twice = experiment("best", range(90), range(91)), experiment("bad", range(50), range(58))
    assert words.fate(answer(*twice), "bad") == "cannot be told from the best in 2 repeats"
    several = experiment("best", *[range(90), range(91)] * 2), experiment("bad", *[range(50), range(52)] * 2)
    assert words.fate(answer(*several), "bad") == "worse than the best"
    assert why(*several) == "the best of those that were tried, and detectably better than each other one"


@pytest.mark.parametrize(("first", "points"), [(88, 2.0), (93, -3.0)])
def test_a_dropped_candidate_is_compared_on_the_repeats_of_both(first: int, points: float) -> None:
    """The finalist has 90 and 60 of a hundred; the mean of the dropped one is of the first division alone."""
    both = answer(experiment("finalist", range(90), range(60)), experiment("dropped", range(first)))
    table = words.table(both)
    row = dict(zip(table.header, next(row for row in table.rows if row[0] == "dropped"), strict=True))
    assert row["points below the best, on common repeats"].startswith(f"{points:.1f} (p ")
    record = SimpleNamespace(recipe=SimpleNamespace(network=SimpleNamespace(freeze="3b")))
    tested: Any = SimpleNamespace(
        summary=both.advice.compared.summaries[0],
        standing=lambda: None,
        repeats=[SimpleNamespace(record=record, scores=written_results.scores_of())],
    )
    assert plain.as_data(both._replace(tested=tested))["inner"]["dropped"]["below_best"] == pytest.approx(points / 100)
    said = words.tests(both).partition(" p is")[0]
    assert " Those of a single repeat are over its test images alone. " in said
    assert said.endswith("Where repeats differ, differences are over those that both have: 1.")


def test_a_dropped_candidate_that_was_better_is_not_said_to_be_worse() -> None:
    both = answer(experiment("dropped", range(93)), experiment("finalist", range(90), range(60)))
    assert (both.advice.name, both.advice.best) == ("dropped", "finalist")
    assert words.alternative(both) == (
        "Finalist was tried on more inner divisions; on those of both it had 3.0 points less, which may be chance."
    )


def test_a_dropped_candidate_that_was_as_good_is_said_to_be() -> None:
    both = answer(experiment("dropped", range(90)), experiment("finalist", range(90), range(60)))
    assert words.alternative(both) == (
        "Finalist was tried on more inner divisions; on those of both it had the same accuracy."
    )


def test_a_difference_that_would_be_rounded_to_0_is_called_a_small_one() -> None:
    right = [{str(image): image >= wrong for image in range(4_000)} for wrong in (1, 0)]
    both = answer(
        *(Experiment(name, {1: compared.Trial(one, 9)}) for name, one in zip(("cheap", "best"), right, strict=True))
    )
    assert "better bet: it had less than 0.1 points more" in words.alternative(both)


@pytest.mark.parametrize(
    ("mean", "end"),
    [(0.02, "what was measured."), (0.0, "did not help."), (-0.02, ": in these repeats more images did not help.")],
)
def test_more_images_that_did_not_help_are_explained_by_no_falling_error(mean: float, end: str) -> None:
    gain = Gain(500, 63, mean, Interval(mean - 0.01, mean + 0.01))
    said = curve_words.sentence(answer(experiment("a", range(90)), gain=gain))
    assert said.endswith(end)
    assert ("goes on to fall" in said) == (mean > 0)


def test_a_network_of_more_images_than_its_curve_has_is_said_to_be_one() -> None:
    points = {1: [Point(16, 0.5, 90, 0.5), Point(33, 0.6, 90, 1.0)]}
    both = answer(experiment("a", range(90)), gain=Gain(100, 48, 0.1, None))._replace(points=points)
    assert (
        "to this network of 48 training images (the inner divisions, on which the curve was measured, train on 33 at "
        "most), if the error"
    ) in curve_words.sentence(both)


def test_a_curve_without_an_error_is_not_said_to_be_one_that_images_did_not_help() -> None:
    perfect = {1: [Point(50, 1.0, 90, 0.5), Point(100, 1.0, 90, 1.0)]}
    said = curve_words.sentence(
        answer(experiment("a", range(90)), gain=Gain(100, 63, 0.0, None))._replace(points=perfect)
    )
    assert said == "The networks of the learning curve made no error: what more images are worth cannot be seen in it."


@pytest.mark.parametrize(("holm", "printed"), [(0.0496, "0.0496"), (0.0504, "0.0504"), (1e-6, "< 0.001")])
def test_p_is_on_the_side_of_its_level_on_which_the_verdict_is(holm: float, printed: str) -> None:
    both = answer(experiment("a", range(90)), experiment("b", range(50)))
    [pair] = both.advice.compared.pairs
    compared_at = both.advice.compared._replace(pairs=[pair._replace(holm=holm)])
    table = words.table(both._replace(advice=both.advice._replace(compared=compared_at)))
    [cell] = [row[5] for row in table.rows if row[0] == "b"]
    assert cell == f"40.0 (p {printed})"


def test_a_frozen_probe_has_no_speed_of_training() -> None:
    assert words.table(answer(experiment("probe", range(90)), freeze="probe", speed=6624.0)).rows[0][-1] == DASH


def test_a_slow_machine_has_a_speed() -> None:
    assert words.table(answer(experiment("a", range(90)), speed=0.043)).rows[0][-1] == "0.043"
