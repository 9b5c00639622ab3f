import numpy as np
import pytest
import written_results

from pipeline.evaluation.compare import comparison, crossed, power, statistics
from pipeline.evaluation.compare.repeats import Repeat
from pipeline.reporting import confidence_intervals
from pipeline.reporting.signs import DASH

RECIPE = written_results.settings_of("quick", {"train.lr": 0.1})
# CIFAR-100 with ten images a class, drawn in each repeat, and its own test part.
DRAWING = written_results.settings_of("hierarchical", {})


def repeat(number, right, *, of=10, train=30, fixed=False, recipe=RECIPE, **scores):
    names = [f"{'all' if fixed else number}/{n}.png" for n in range(of)]
    rows = [{"path": name, "correct": str(int(n < right))} for n, name in enumerate(names)]
    parameters = {"trainable": 7, "frozen": 0, "regularizer": 0}
    counted = {"parameters": parameters, "parts": {"train": train, "val": 0, "test": of}}
    equal = dict.fromkeys(("accuracy", "macro_f1"), right / of)
    return Repeat(
        number,
        written_results.record_of(number, recipe, classes=["a", "b"], **counted),
        written_results.runtime_of(train_seconds=2.0),
        written_results.scores_of(**equal | scores),
        history=[],
        predictions=rows,
    )


def test_over_drawn_splits_every_score_has_the_corrected_interval():
    found = confidence_intervals.intervals([repeat(1, 5), repeat(2, 7), repeat(3, 6)])
    expected = statistics.interval([0.5, 0.7, 0.6], train=30, test=10)
    assert found["accuracy"] == found["macro_f1"] == pytest.approx(expected)


def test_over_the_same_test_images_the_interval_of_the_accuracy_is_over_these_too():
    found = confidence_intervals.intervals(
        [repeat(number, right, fixed=True) for number, right in ((1, 5), (2, 7), (3, 6))]
    )
    right = np.array([[n < right for n in range(10)] for right in (5, 7, 6)], dtype=float)
    assert found["accuracy"] == crossed.crossed_interval(right)
    assert found["macro_f1"] == pytest.approx(statistics.interval([0.5, 0.7, 0.6], train=30, test=0))


def test_a_single_repeat_has_wilsons_interval_of_its_accuracy_alone():
    assert confidence_intervals.intervals([repeat(1, 5)]) == {"accuracy": statistics.wilson(5, 10)}


def test_the_summary_has_the_ends_of_the_accuracys_interval():
    told = confidence_intervals.summary([repeat(1, 5), repeat(2, 7), repeat(3, 6)])
    low, high = statistics.interval([0.5, 0.7, 0.6], train=30, test=10)
    assert told["accuracy"] == pytest.approx({"mean": 0.6, "sd": 0.1, "n": 3, "low": low, "high": high})
    assert "low" not in told["macro_f1"]


@pytest.mark.parametrize(
    ("repeats", "told"),
    [
        ([repeat(1, 5), repeat(2, 7)], "corrected for training parts that overlap (Nadeau and Bengio 2003)."),
        ([repeat(1, 5), repeat(2, 7)], "over 2 repeats, each with its own random split and seed."),
        ([repeat(1, 5, fixed=True), repeat(2, 7, fixed=True)], "is over such repeats and other test images at once."),
        ([repeat(1, 5, fixed=True), repeat(2, 7, fixed=True)], "each with the set's own parts and its own seed."),
        (
            [repeat(1, 5, fixed=True, recipe=DRAWING), repeat(2, 7, fixed=True, recipe=DRAWING)],
            "each with its own draw of the training images and its own seed, and the same test images.",
        ),
        ([repeat(1, 5), repeat(2, 5)], "It is 0, which gives no interval. What other images would change, Wilson's"),
        ([repeat(1, 5)], "Wilson's 95 % interval, 23.7 to 76.3\u00a0%, is of this one network"),
    ],
    ids=["splits", "of splits", "one test part", "of seeds", "of drawn training images", "no spread", "one"],
)
def test_the_note_says_what_the_interval_is_of(repeats, told):
    assert told in confidence_intervals.note(repeats)


def test_the_note_on_what_a_comparison_would_show_takes_the_other_for_as_variable_and_independent():
    parts = {"train": 3000, "test": 1000}
    told = confidence_intervals.detectable([repeat(n, n, of=1000, train=3000) for n in (5, 9, 7)])
    twice = [2**0.5 * value for value in (0.005, 0.009, 0.007)]
    assert (
        f"a difference of {100 * power.smallest_detectable(twice, **parts):.1f} points with a probability of 80 %"
        in told
    )
    needed = power.repeats_for(0.02, lambda n: power.smallest_detectable(twice, **parts, repeats=n))
    assert needed is not None
    assert f"; 2 points take about {needed} repeats." in told


def test_where_no_number_of_repeats_shows_two_points_that_is_said():
    told = confidence_intervals.detectable([repeat(1, 2), repeat(2, 9), repeat(3, 7)])
    few = "3 repeats are too few to detect any difference, however large, with a probability of 80 %; not even 1,000 "
    assert f"{few}repeats" in told


def test_on_one_test_part_the_images_add_to_what_the_seeds_hide():
    told = confidence_intervals.detectable([repeat(1, 5, fixed=True), repeat(2, 7, fixed=True)])
    assert "as far as the seeds go; the test images, which are the same in each, add to that." in told


@pytest.mark.parametrize("repeats", [[repeat(1, 5)], [repeat(1, 5), repeat(2, 5)]], ids=["one", "no spread"])
def test_without_a_spread_nothing_is_said_of_comparisons(repeats):
    assert confidence_intervals.detectable(repeats) is None


def test_an_experiment_is_compared_by_its_images_scores_cost_and_settings():
    found = confidence_intervals.experiment("mine", [repeat(1, 5), repeat(2, 7, nll=0.5)])
    assert found.trials[2].score("accuracy") == 0.7
    assert (found.trials[2].score("nll"), found.trials[2].train, found.trials[2].seconds) == (0.5, 30, 2.0)
    assert (found.parameters, found.settings["train.lr"], found.settings["threads"]) == (7, 0.1, 2)
    assert (found.settings["device_model"], found.settings["precision"]) == ("", "fp32")


@pytest.mark.parametrize("changes", [{}, {"data.split.val": 0.1}, {"data.split.train_fraction": 0.5}])
def test_training_images_are_drawn_anew_by_numbers_alone_where_the_test_part_is_one(changes):
    recipe = written_results.settings_of("quick", changes)
    fixed = [repeat(number, right, fixed=True, recipe=recipe) for number, right in ((1, 5), (2, 7))]
    assert not confidence_intervals.experiment("mine", fixed).redraws
    assert "each with the set's own parts and its own seed." in confidence_intervals.note(fixed)
    assert confidence_intervals.experiment("few", [repeat(1, 5, recipe=DRAWING)]).redraws


@pytest.mark.parametrize(
    ("metric", "right", "smallest"),
    [
        ("accuracy", [(9, 1), (5, 9)], "no difference: too few repeats"),
        ("accuracy", [(9, 8)], "no difference: too few images"),
        ("accuracy", [(9, 8), (8, 7)], DASH),
        ("macro_f1", [(9, 8)], DASH),
    ],
)
def test_where_no_difference_is_detectable_it_says_what_is_too_few(metric, right, smallest):
    """Ten images each; equal differences have no spread, and one value of another score has none either."""
    experiments = [
        confidence_intervals.experiment(name, [repeat(number, one[place]) for number, one in enumerate(right, start=1)])
        for place, name in enumerate("ab")
    ]
    [pair] = comparison.compare(experiments, metric).pairs
    assert confidence_intervals.smallest_detectable(pair, "{:.2f}".format) == smallest
